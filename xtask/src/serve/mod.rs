//! `cargo xtask serve`: everything up to the page in the browser. Sets up, fetches the model, builds, then serves.
//! `site` decides what is answered and `range` which part of a file; this file owns the socket.

use std::io::{self, Read};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use http_body_util::channel::{Channel, Sender};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;

use crate::bundle::{self, Profile};
use crate::{models, paths, report, setup};

pub mod range;
pub mod site;

use site::{Ask, Reply, Site};

/// Bytes that are read and sent at once.
const PIECE_BYTES: usize = 1 << 16;

/// Set up, fetch the default model, build and serve the page on this machine.
///
/// Serves dist/ at / and models/ at /models/ (before dist/models/, the models that ship with the page) with cross-origin isolation headers and range requests;
/// /models/index.json lists the models that are there. Only this machine can reach it.
#[derive(Args)]
pub struct ServeArgs {
    /// The port to listen on.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Build without optimisation: quicker to build, slow to run.
    #[arg(long)]
    debug: bool,
    /// The model to have ready in models/ before serving.
    #[arg(long, value_name = "ID", default_value = models::DEFAULT_MODEL)]
    model: String,
    /// Serve what is already in dist/ and models/: no setup, no download, no build.
    #[arg(long, conflicts_with_all = ["debug", "model"])]
    no_build: bool,
    /// The folder to serve at / [default: dist/].
    #[arg(long, value_name = "DIR", requires = "no_build")]
    dist: Option<PathBuf>,
    /// The folder to serve at /models/ [default: models/].
    #[arg(long, value_name = "DIR", requires = "no_build")]
    models: Option<PathBuf>,
}

/// Runs the command; returns only when the server cannot start.
pub fn run(args: &ServeArgs) -> Result<()> {
    check_port(args.port)?; // Before minutes of building.
    let site = Site {
        dist: args.dist.clone().unwrap_or_else(paths::dist),
        models: args.models.clone().unwrap_or_else(paths::models),
    };
    if !args.no_build {
        let env = setup::run(setup::Scope::Build)?;
        models::fetch(&[&args.model], &site.models)?;
        bundle::build(&env, Profile::from_debug_flag(args.debug), &[])?;
    }
    if !site::has_page(&site.dist) {
        bail!("there is no page in {}: run `cargo xtask build` first", site.dist.display());
    }
    let listener = TcpListener::bind(("127.0.0.1", args.port));
    let listener = listener.map_err(|error| port_error(args.port, &error.to_string()))?;
    println!("\nRill is at http://localhost:{}/ (stop with Ctrl-C)", args.port);
    let ids = site.model_ids();
    report::note(format!("models: {}", if ids.is_empty() { "none".into() } else { ids.join(", ") }));
    answer_all(listener, site)
}

/// Answers requests for as long as the program runs.
///
/// # Errors
/// Where the system gives no threads, or takes the listener away.
pub fn answer_all(listener: TcpListener, site: Site) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_io().build()?;
    listener.set_nonblocking(true)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let site = Arc::new(site);
        loop {
            let (stream, _) = listener.accept().await?;
            let site = Arc::clone(&site);
            let service = service_fn(move |request| answer(request, Arc::clone(&site)));
            tokio::spawn(async move {
                // A browser that cancels a download closes its connection: no event.
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    })
}

/// A file's bytes on their way to a browser.
type Body = Channel<Bytes, io::Error>;

async fn answer(request: Request<Incoming>, site: Arc<Site>) -> Result<Response<Body>> {
    let is_head = request.method() == Method::HEAD;
    let reply = tokio::task::spawn_blocking(move || reply_to(&request, &site)).await?;
    let mut response = Response::builder().status(reply.status).header(CONTENT_LENGTH, reply.length);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let (sender, body) = Body::new(1);
    if !is_head {
        tokio::task::spawn_blocking(move || feed(reply.body, sender));
    }
    Ok(response.body(body)?)
}

fn reply_to(request: &Request<Incoming>, site: &Site) -> Reply {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut reply = Reply::text(405, "text/plain; charset=utf-8", "This server only knows GET and HEAD.\n");
        reply.headers.push(("Allow", "GET, HEAD".into()));
        return reply;
    }
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    site.answer(&Ask {
        url: request.uri().path_and_query().map_or("/", |url| url.as_str()),
        range: header(RANGE),
        if_range: header(IF_RANGE),
        if_none_match: header(IF_NONE_MATCH),
    })
}

/// Hands a body over as fast as the browser takes it.
fn feed(mut from: Box<dyn Read + Send>, mut to: Sender<Bytes, io::Error>) {
    let runtime = tokio::runtime::Handle::current();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return,
            Ok(n) => {
                let sent = runtime.block_on(to.send_data(Bytes::copy_from_slice(&piece[..n])));
                if sent.is_err() {
                    return; // Nobody listens any more.
                }
            }
            // The browser sees a connection that breaks off, and asks again.
            Err(error) => return to.abort(error),
        }
    }
}

fn check_port(port: u16) -> Result<()> {
    TcpListener::bind(("127.0.0.1", port)).map(drop).map_err(|error| port_error(port, &error.to_string()))
}

fn port_error(port: u16, reason: &str) -> anyhow::Error {
    let other = port.checked_add(1).unwrap_or(8080);
    anyhow!("port {port} cannot be used ({reason}): choose another one, such as `--port {other}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpStream;
    use std::time::Duration;

    /// A browser keeps its connections open; one that waits must not hold up another.
    #[test]
    fn every_connection_of_a_burst_is_answered_while_the_others_stay_open() {
        let dir = std::env::temp_dir().join(format!("rill-burst-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("index.html"), "page").unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let site = Site { dist: dir.clone(), models: dir.join("none") };
        std::thread::spawn(move || answer_all(listener, site));
        let ask = |mut stream: &TcpStream| stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let streams: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
        for _ in 0..2 {
            streams.iter().for_each(ask);
            for mut stream in &streams {
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let mut answer = Vec::new();
                while !answer.ends_with(b"\r\n\r\npage") {
                    let mut piece = [0; 1024];
                    let n = stream.read(&mut piece).expect("an answer while the others wait");
                    assert!(n > 0, "the connection stays open");
                    answer.extend_from_slice(&piece[..n]);
                }
                assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
            }
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_port_in_use_is_said_plainly() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let message = check_port(port).unwrap_err().to_string();
        assert!(message.contains(&format!("port {port} cannot be used")) && message.contains("--port"), "{message}");
    }
}
