//! Ports that keep their address.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use countersign_agent::control::ControlClient;
use countersign_agent::journal::Event;
use countersign_agent::{Agent, AgentSettings, Listen, ListenError, Policy, Running};

use crate::http::tcp;
use crate::world::World;

/// Where the address is kept.
fn file(world: &World) -> PathBuf {
    let directory = world.path("kept");
    std::fs::create_dir_all(&directory).expect("made");
    directory.join("reader.port")
}

async fn start(world: &World, address: &str) -> Result<(Agent, Running), countersign_agent::AgentError> {
    let agent = world.agent(AgentSettings::default());
    let mut settings = world.settings("reader", &world.gateway, Policy::default());
    settings.listen = Listen::KeptPort { address: address.parse().expect("an address"), file: file(world) };
    let running = agent.open(settings).await?;
    Ok((agent, running))
}

/// Address and secret path.
fn place(running: &Running) -> (SocketAddr, String) {
    let url = running.url.clone().expect("a URL");
    let (address, path) = url.strip_prefix("http://").and_then(|url| url.split_once('/')).expect("a path");
    (address.parse().expect("an address"), path.to_owned())
}

async fn status(place: &(SocketAddr, String)) -> u16 {
    let (address, path) = place;
    let request = format!("GET /{path}/x HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    tcp(&address.to_string(), &request).await.status
}

#[tokio::test]
async fn a_restart_keeps_the_address_and_a_revocation_ends_it() {
    let world = World::start().await;
    let (agent, running) = start(&world, "127.0.0.1:0").await.expect("starts");
    let first = place(&running);
    assert_eq!(status(&first).await, 200);
    agent.stop().await;
    drop((agent, running));

    let (agent, running) = start(&world, "127.0.0.1:0").await.expect("starts again");
    assert_eq!(place(&running), first);
    assert_eq!(status(&first).await, 200, "what a program was told is right still");
    agent.revoke(running.binding.name()).await.expect("revoked");
    assert!(!file(&world).exists());
    agent.stop().await;
    drop((agent, running));

    let (_agent, running) = start(&world, "127.0.0.1:0").await.expect("starts once more");
    let second = place(&running);
    assert_ne!(second.1, first.1);
    assert_eq!((status(&second).await, status(&(second.0, first.1)).await), (200, 404));
}

/// What programs sent to whoever had the port in between may be known.
#[tokio::test]
async fn a_port_that_somebody_else_has_had_gets_another_path() {
    let world = World::start().await;
    let (agent, running) = start(&world, "127.0.0.1:0").await.expect("starts");
    let first = place(&running);
    agent.stop().await;
    drop((agent, running));
    let squatter = TcpListener::bind(first.0).expect("the port is free");

    let fault = start(&world, &first.0.to_string()).await.expect_err("somebody has it");
    assert!(matches!(fault, countersign_agent::AgentError::Listen(ListenError::Io { .. })), "{fault}");
    drop(squatter);
    let (agent, running) = start(&world, &first.0.to_string()).await.expect("starts");
    let second = place(&running);
    assert!(second.0 == first.0 && second.1 != first.1, "{first:?} {second:?}");
    agent.stop().await;
    drop((agent, running));

    let squatter = TcpListener::bind(first.0).expect("the port is free");
    let (_agent, running) = start(&world, "127.0.0.1:0").await.expect("another port will do");
    let third = place(&running);
    assert!(third.0 != second.0 && third.1 != second.1, "{second:?} {third:?}");
    assert_eq!(status(&third).await, 200);
    drop(squatter);
}

#[tokio::test]
async fn the_path_of_a_port_is_told_only_where_it_is_asked_for_and_that_is_written_down() {
    let world = World::start().await;
    let (agent, running) = start(&world, "127.0.0.1:0").await.expect("starts");
    let (address, path) = place(&running);
    let socket = world.path("run/control.sock");
    agent.open_control(&socket).await.expect("a control socket");
    let control = ControlClient::new(&socket);
    let status = control.status().await.expect("a status");
    assert_eq!((status.bindings[0].address, status.bindings[0].socket.as_deref()), (Some(address), None::<&Path>));
    assert!(!serde_json::to_string(&status).expect("JSON").contains(&path));
    assert_eq!(world.count(Event::Revealed), 0);

    let addresses = control.addresses().await.expect("addresses");
    assert_eq!(addresses[0].url, running.url);
    assert!(!format!("{addresses:?}").contains(&path));
    let told = world.journal().into_iter().find(|entry| entry.event == Event::Revealed).expect("a line");
    let own = i32::try_from(std::process::id()).expect("a pid");
    assert_eq!(told.process.first().map(|process| process.pid), Some(own));
    let journal = std::fs::read_to_string(world.path("journal.jsonl")).expect("a journal");
    assert!(!journal.contains(&path));
}
