//! The listening socket and its connections.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Api, Lost};
use crate::faults::{Effect, Occasion};

/// How long to wait after the machine refused a connection for lack of something.
const PAUSE: Duration = Duration::from_millis(50);

/// The server. Dropping it closes the socket and all connections.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    accepting: JoinSet<()>,
    stopping: CancellationToken,
}

/// How long a connection may wait for its next request: longer than clients keep one for that, or they would now and
/// then send a request that nobody reads any more.
const IDLE: Duration = Duration::from_mins(3);

impl Server {
    pub(crate) async fn start(address: SocketAddr, api: Arc<Api>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let mut accepting = JoinSet::new();
        let stopping = CancellationToken::new();
        accepting.spawn(accept(listener, api, stopping.clone()));
        Ok(Self { address, accepting, stopping })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the socket and all connections, and returns when none is left.
    pub(crate) async fn shutdown(mut self) {
        self.stopping.cancel();
        while self.accepting.join_next().await.is_some() {}
    }
}

async fn accept(listener: TcpListener, api: Arc<Api>, stopping: CancellationToken) {
    let mut connections = JoinSet::new();
    let mut changes = api.faults.changes();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // Closed at once: nobody is at home.
                Ok(_) if is_away(&api) => {}
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&api)));
                }
                Err(error) => {
                    debug!(%error, "A connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            // Ended connections are taken out, so that the set does not grow.
            Some(_) = connections.join_next() => {}
            () = api.faults.changed(&mut changes) => {
                if api.faults.has(|effect| *effect == Effect::ApiAway) {
                    connections.shutdown().await;
                }
            }
            () = stopping.cancelled() => break,
        }
    }
    connections.shutdown().await;
}

fn is_away(api: &Api) -> bool {
    let occasion = Occasion { verb: "connect", ..Occasion::default() };
    !api.faults.is_quiet() && api.faults.first(&occasion, |effect| *effect == Effect::ApiAway).is_some()
}

async fn serve(stream: TcpStream, api: Arc<Api>) {
    // Without it, small answers wait for the acknowledgement of the ones before.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "TCP_NODELAY could not be set");
    }
    let service = service_fn(|request: Request<Incoming>| {
        let api = Arc::clone(&api);
        async move { api.handle(request.map(Body::new)).await as Result<Response, Lost> }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "A connection broke");
    }
}
