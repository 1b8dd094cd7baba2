//! A real server on a free port, and words to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use countersign_testkit::service::{Service, find, free_address};

/// A redis-server that keeps nothing on disk.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    arguments: Vec<String>,
    service: Option<Service>,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_at(free_address().unwrap(), arguments)
    }

    pub(crate) fn start_at(address: SocketAddr, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server = Self { address, arguments, service: None };
        server.begin();
        server
    }

    /// Starts it, empty, at the same address.
    pub(crate) fn begin(&mut self) {
        let (port, arguments) = (self.address.port().to_string(), self.arguments.clone());
        let service = Service::start(self.address, |directory| {
            let mut command = Command::new(find("redis-server").unwrap());
            command.current_dir(directory);
            if arguments.first().is_some_and(|first| first == "--sentinel") {
                // The configuration is a file that the sentinel writes to.
                let file = directory.join("sentinel.conf");
                std::fs::write(&file, arguments[1].replace("PORT", &port))?;
                command.arg(file).arg("--sentinel");
            } else {
                command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--databases", "64"]);
                if !arguments.iter().any(|argument| argument == "--tls-port") {
                    command.args(["--port", &port]);
                }
                command.args(&arguments);
            }
            Ok(command)
        });
        self.service = Some(service.unwrap());
    }

    /// Kills it: what it held is gone.
    pub(crate) fn kill(&mut self) {
        drop(self.service.take());
    }

    /// Stops it from running, as a machine that hangs, or lets it go on.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.service.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Connections to it that are open on this side, also when it hangs.
    pub(crate) fn connections(&self) -> usize {
        let SocketAddr::V4(address) = self.address else { panic!("{} is not of IPv4", self.address) };
        let (ip, port) = (u32::from_ne_bytes(address.ip().octets()), address.port());
        let open_to_it = format!(" {ip:08X}:{port:04X} 01 ");
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        table.lines().filter(|line| line.contains(&open_to_it)).count()
    }

    pub(crate) fn url(&self, database: u32) -> String {
        format!("redis://{}/{database}", self.address)
    }

    /// Says `command` and returns the answer: a line, or the text of a bulk string.
    pub(crate) fn say(&self, command: &str) -> String {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        (&stream).write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut answers = BufReader::new(stream);
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        let Some(length) = line.strip_prefix('$') else { return line.trim_end().to_owned() };
        let mut text = vec![0; length.trim_end().parse().unwrap()];
        answers.read_exact(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Waits until the answer to `command` has `part` in it.
    pub(crate) async fn until_says(&self, command: &str, part: &str) {
        crate::world::until(&format!("{command} says {part}"), async || self.say(command).contains(part)).await;
    }
}
