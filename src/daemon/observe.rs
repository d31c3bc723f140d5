//! What monitoring asks over HTTP, where `metrics.listen` allows it:
//! `/healthz`, `/readyz` and `/metrics`.
//!
//! An answer costs a few reads and a few seconds at most, also while the
//! database is away.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::listener::Few;
use super::metrics;
use super::service::Service;
use crate::clock;
use crate::jobs::{self, Shop};

/// How long a database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers until it is dropped.
pub struct Observer {
    observed: Arc<Observed>,
    serving: JoinSet<()>,
}

struct Observed {
    /// Once it is open.
    shop: OnceLock<Shop>,
    service: Service,
    /// However many ask, the database is asked by one at a time.
    turn: Mutex<()>,
}

impl Observer {
    /// Answers from now on; without an address nobody is answered.
    pub async fn start(listen: Option<SocketAddr>, service: Service) -> Result<Self> {
        let mut observer = Self {
            observed: Arc::new(Observed {
                shop: OnceLock::new(),
                service,
                turn: Mutex::default(),
            }),
            serving: JoinSet::new(),
        };
        if let Some(listen) = listen {
            let listener = TcpListener::bind(listen).await;
            let listener = listener.with_context(|| {
                format!("metrics.listen: {listen}: cannot listen there, expected a free port")
            })?;
            observer.serve(listener)?;
        }
        Ok(observer)
    }

    fn serve(&mut self, listener: TcpListener) -> Result<()> {
        let address = listener.local_addr()?;
        tracing::info!(%address, "metrics are served");
        let router = router(Arc::clone(&self.observed));
        self.serving.spawn(async move {
            if let Err(error) = axum::serve(Few::of(listener), router).await {
                tracing::error!(%error, "metrics are served no longer");
            }
        });
        Ok(())
    }

    /// The database was opened and migrated.
    pub fn opened(&self, shop: &Shop) {
        // It is opened once.
        let _was_open = self.observed.shop.set(shop.clone());
    }
}

fn router(observed: Arc<Observed>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .layer(map_response(once))
        .with_state(observed)
}

/// A connection is for one answer: it does not end in the middle of another.
async fn once(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

type Asked = State<Arc<Observed>>;

/// Whether the process lives and gets on.
async fn healthz(State(observed): Asked) -> (StatusCode, String) {
    let silent = observed.shop.get().map(|shop| shop.watch.silent_for());
    answer(silent.and_then(|silent| observed.service.problem(silent)))
}

/// Whether all is in place for jobs to run.
async fn readyz(State(observed): Asked) -> (StatusCode, String) {
    let Some(shop) = observed.shop.get() else {
        return answer(Some("the database is not open yet".to_owned()));
    };
    if let Err(error) = observed.in_turn(jobs::reach(shop)).await {
        return answer(Some(format!("{error:#}")));
    }
    let is_ready = observed.service.is_ready();
    answer((!is_ready).then(|| "nothing is planned yet".to_owned()))
}

fn answer(problem: Option<String>) -> (StatusCode, String) {
    match problem {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
    }
}

async fn metrics(State(observed): Asked) -> impl IntoResponse {
    let now = clock::now();
    let shop = observed.shop.get();
    let measured = match shop {
        Some(shop) => observed.in_turn(jobs::measure(shop, now)).await.ok(),
        None => None,
    };
    match metrics::text(shop, measured.as_ref(), now) {
        Ok(text) => (
            StatusCode::OK,
            [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)],
            text,
        ),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain")],
            format!("{error}\n"),
        ),
    }
}

impl Observed {
    /// Asks the database when nobody else does, but not for long.
    async fn in_turn<T>(&self, asking: impl Future<Output = Result<T>>) -> Result<T> {
        let asked = async {
            let _turn = self.turn.lock().await;
            asking.await
        };
        let asked = tokio::time::timeout(PATIENCE, asked).await;
        asked.unwrap_or_else(|_| {
            let seconds = PATIENCE.as_secs();
            Err(anyhow!("the database did not answer within {seconds} s"))
        })
    }
}
