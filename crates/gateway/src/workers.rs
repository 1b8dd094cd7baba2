//! Threads that serve connections, each by itself.
//!
//! A connection, its requests and what they open to the upstream stay on the thread that they began on: nobody is woken
//! across threads, and threads share nothing that changes with every request but what is counted and remembered of
//! them. A thread with much to do gets no help; so each new connection goes to the one with the fewest.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The threads. They end when this is dropped, and what they serve ends with them.
#[derive(Debug)]
pub(crate) struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    /// Bounded by the number of connections that the gateway takes.
    jobs: UnboundedSender<Job>,
    open: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

/// Begins to serve a connection, on the thread that it is for.
type Job = Box<dyn FnOnce() + Send>;

/// A connection that counts as one of a worker's until this is dropped.
struct Open(Arc<AtomicUsize>);

impl Workers {
    /// Starts `number` threads.
    ///
    /// # Errors
    /// The system gives no thread, or not what its runtime needs.
    pub(crate) fn start(number: NonZeroUsize) -> io::Result<Self> {
        (0..number.get()).map(Worker::start).collect::<io::Result<_>>().map(Self)
    }

    /// Has `stream` served by the thread with the fewest connections. A stream that cannot change its thread is closed.
    pub(crate) fn serve<F>(&self, stream: TcpStream, serving: impl FnOnce(TcpStream) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (Ok(stream), Some(worker)) = (stream.into_std(), self.with_fewest()) else { return };
        let open = Open::of(worker);
        let job: Job = Box::new(move || {
            if let Ok(stream) = TcpStream::from_std(stream) {
                let serving = serving(stream);
                tokio::spawn(async move {
                    let _open = open;
                    serving.await;
                });
            }
        });
        // A worker takes jobs as long as there are any to be had from here.
        let _ = worker.jobs.send(job);
    }

    /// Ends the threads and waits until they are gone.
    pub(crate) async fn end(self) {
        let ending = self.0.into_iter().map(|Worker { thread, .. }| thread).collect::<Vec<_>>();
        // A thread that failed has nothing more to serve either.
        let _ = tokio::task::spawn_blocking(|| ending.into_iter().for_each(|thread| drop(thread.join()))).await;
    }

    fn with_fewest(&self) -> Option<&Worker> {
        self.0.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed))
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (jobs, taken) = unbounded_channel();
        let named = std::thread::Builder::new().name(format!("gateway-{number}"));
        let thread = named.spawn(move || runtime.block_on(work(taken)))?;
        Ok(Self { jobs, open: Arc::default(), thread })
    }
}

async fn work(mut jobs: UnboundedReceiver<Job>) {
    while let Some(begin) = jobs.recv().await {
        begin();
    }
}

impl Open {
    fn of(worker: &Worker) -> Self {
        worker.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&worker.open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
