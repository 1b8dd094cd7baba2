//! Taking connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use crate::connection::Connections;
use crate::workers::Workers;

/// How long to wait when the system has no more sockets to give.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes connections until the gateway drains, at most as many at a time as its limits say, and has them served by
/// `workers`, or here.
pub(crate) async fn accept(
    listener: TcpListener,
    connections: Arc<Connections>,
    workers: Option<&Workers>,
    tasks: &TaskTracker,
) {
    let draining = &connections.draining;
    let places = Arc::new(Semaphore::new(connections.limits.connections));
    loop {
        let Some(Ok(place)) = draining.run_until_cancelled(Arc::clone(&places).acquire_owned()).await else { return };
        let Some(accepted) = draining.run_until_cancelled(listener.accept()).await else { return };
        match accepted {
            Ok((stream, peer)) => {
                let connections = Arc::clone(&connections);
                match workers {
                    None => drop(tasks.spawn(connections.serve(stream, peer, place))),
                    Some(workers) => {
                        let tasks = tasks.clone();
                        workers.serve(stream, move |stream| tasks.track_future(connections.serve(stream, peer, place)));
                    }
                }
            }
            Err(error) if is_about_one_connection(&error) => (),
            Err(error) => {
                tracing::error!(%error, "no connection can be taken");
                sleep(PAUSE).await;
            }
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}
