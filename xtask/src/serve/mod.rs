//! `cargo xtask serve`: everything up to the page in the browser. Sets up, fetches the model, builds, then serves.
//! `site` decides what is answered and `range` which part of a file; this file owns the socket.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use tiny_http::{Header, Method, Request, Response, Server};

use crate::bundle::{self, Profile};
use crate::{models, paths, report, setup};

pub mod range;
pub mod site;

use site::{Ask, Reply, Site};

/// Browsers open six connections to a host; tests open several pages.
const THREADS: usize = 16;

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
        bundle::build(&env, Profile::from_debug_flag(args.debug))?;
    }
    if !site::has_page(&site.dist) {
        bail!("there is no page in {}: run `cargo xtask build` first", site.dist.display());
    }
    let server = Server::http(("127.0.0.1", args.port)).map_err(|error| port_error(args.port, &error.to_string()))?;
    println!("\nRill is at http://localhost:{}/ (stop with Ctrl-C)", args.port);
    let ids = site.model_ids();
    report::note(format!("models: {}", if ids.is_empty() { "none".into() } else { ids.join(", ") }));
    answer_all(&Arc::new(server), &site);
    Ok(())
}

/// Answers requests on several threads until the server is dropped.
pub fn answer_all(server: &Arc<Server>, site: &Site) {
    let workers = (0..THREADS).map(|_| {
        let (server, site) = (Arc::clone(server), site.clone());
        thread::spawn(move || {
            while let Ok(request) = server.recv() {
                answer(request, &site);
            }
        })
    });
    // Collected first: all threads have to run before the first is waited for.
    for worker in workers.collect::<Vec<_>>() {
        worker.join().ok();
    }
}

fn answer(request: Request, site: &Site) {
    let reply = match request.method() {
        Method::Get | Method::Head => {
            let header = |name: &'static str| {
                let found = request.headers().iter().find(|header| header.field.equiv(name));
                found.map(|header| header.value.as_str())
            };
            site.answer(&Ask {
                url: request.url(),
                range: header("Range"),
                if_range: header("If-Range"),
                if_none_match: header("If-None-Match"),
            })
        }
        _ => {
            let mut reply = Reply::text(405, "text/plain; charset=utf-8", "This server only knows GET and HEAD.\n");
            reply.headers.push(("Allow", "GET, HEAD".into()));
            reply
        }
    };
    let headers = reply.headers.iter().filter_map(|(name, value)| Header::from_bytes(*name, value.as_bytes()).ok());
    let length = usize::try_from(reply.length).ok();
    let response = Response::new(reply.status.into(), headers.collect(), reply.body, length, None);
    // The page shows download progress by Content-Length, which chunked answers do not have.
    let sent = request.respond(response.with_chunked_threshold(usize::MAX));
    // A browser that cancels a download closes its connection: no event.
    sent.ok();
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

    #[test]
    fn a_port_in_use_is_said_plainly() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let message = check_port(port).unwrap_err().to_string();
        assert!(message.contains(&format!("port {port} cannot be used")) && message.contains("--port"), "{message}");
    }
}
