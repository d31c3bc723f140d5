//! The monitor outside, which misses a service that is silent: it is called
//! after each good run at one address, after a failed one at another. It needs
//! neither mail nor database.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::config::MonitorUrl;
use crate::jobs::Shop;
use crate::store;

/// How long the monitor may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What alarms are called by, where jobs have their names.
const ALARMS: &str = "alarms";

/// Tells the monitor how a run of a job ended. Where all share one address, a
/// good run is told only while nothing is wrong.
pub(in crate::jobs) async fn tell_run(shop: &Shop, job: &str, is_well: bool) {
    let alarms = &shop.config.alarms;
    let url = match is_well {
        true => &alarms.ping_url,
        false => &alarms.fail_url,
    };
    let Some(url) = url else {
        return;
    };
    if !is_well || url.is_per_job() || nothing_lasts(shop).await {
        call(url, job).await;
    }
}

/// Tells the monitor whether an alarm lasts, or nobody can tell.
pub async fn tell_alarms(shop: &Shop, is_well: bool) {
    let alarms = &shop.config.alarms;
    match (is_well, &alarms.ping_url, &alarms.fail_url) {
        (true, Some(url), _) if url.is_per_job() => call(url, ALARMS).await,
        (false, _, Some(url)) => call(url, ALARMS).await,
        _ => {}
    }
}

async fn nothing_lasts(shop: &Shop) -> bool {
    let read = async {
        let mut tx = shop.store.read().await?;
        store::alarms_load(&mut tx).await
    };
    read.await.is_ok_and(|kept| super::lasting(kept).is_empty())
}

/// Calls an address; what it says beside that it was called is nobody's.
async fn call(url: &MonitorUrl, job: &str) {
    let url = url.of_job(job);
    let called = tokio::task::spawn_blocking(move || agent().get(&url).call().map(drop)).await;
    // The address is a secret: some errors name it.
    let problem = match called {
        Ok(Ok(())) => return,
        Ok(Err(ureq::Error::StatusCode(status))) => format!("it answered {status}"),
        Ok(Err(ureq::Error::Timeout(_))) => "it did not answer in time".to_owned(),
        Ok(Err(ureq::Error::Io(error))) => error.to_string(),
        Ok(Err(_)) | Err(_) => "it cannot be reached".to_owned(),
    };
    tracing::warn!(job, problem, "the monitor was not told");
}

/// One for the process: it reads the system's certificates.
fn agent() -> &'static Agent {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        let roots = rustls_native_certs::load_native_certs().certs;
        let roots: Vec<_> = roots
            .iter()
            .map(|root| Certificate::from_der(root).to_owned())
            .collect();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .tls_config(tls)
            .user_agent(concat!("warrantyd/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent()
    })
}
