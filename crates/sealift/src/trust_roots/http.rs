//! A TUF repository over HTTP, and which failures are outages.

use sealift_core::limits;
use sealift_net::{Client, Kind, NetError, Request};
use sealift_trust::root::{Fetched, Source, SourceError};
use tokio::time::{Instant, timeout_at};
use url::Url;

/// A repository over HTTP, until a deadline that holds for the whole refresh.
pub(super) struct Http {
    pub(super) client: Client,
    pub(super) base: Url,
    pub(super) deadline: Instant,
}

impl Source for Http {
    fn fetch<'a>(&'a self, path: &'a str, bytes_max: usize) -> Fetched<'a> {
        Box::pin(self.get(path, bytes_max))
    }
}

impl Http {
    async fn get(&self, path: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, SourceError> {
        let refused = |error: url::ParseError| SourceError::Refused(error.to_string());
        let url = self.base.join(path).map_err(refused)?;
        let request = Request::get(Kind::Other, url.clone(), bytes_max);
        let sent = timeout_at(self.deadline, self.client.send(&request)).await;
        let answer = sent.map_err(|_| {
            let most = limits::TRUST_ROOT_REFRESH_SECS_MAX;
            SourceError::Outage(format!("the refresh took longer than {most} s"))
        })?;
        let answer = answer.map_err(failed)?;
        let status = answer.status.as_u16();
        let said = || format!("`{url}` answered {status}");
        match status {
            200 => Ok(Some(answer.body.to_vec())),
            // Object stores say 403 for what is not there to those who may not list.
            403 | 404 => Ok(None),
            408 | 429 | 500..=599 => Err(SourceError::Outage(said())),
            _ => Err(SourceError::Refused(said())),
        }
    }
}

/// Only a host that does not answer is an outage.
fn failed(error: NetError) -> SourceError {
    let outage = matches!(
        error,
        NetError::Connect { .. }
            | NetError::Timeout { .. }
            | NetError::Cut { .. }
            | NetError::Down { .. }
            | NetError::RateLimited { .. }
    );
    let text = crate::pipeline::chain(&error);
    match outage {
        true => SourceError::Outage(text),
        false => SourceError::Refused(text),
    }
}

#[cfg(test)]
mod tests {
    use sealift_net::{Net, Settings, Tls};

    use super::*;

    #[tokio::test]
    async fn a_refresh_past_its_deadline_is_an_outage() {
        // It takes the connection and never answers.
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let net = Net::new(Settings::default()).unwrap();
        let base = format!("http://{}/", silent.local_addr().unwrap());
        let source = Http {
            client: net.client(&Tls::default()).unwrap(),
            base: base.parse().unwrap(),
            deadline: Instant::now(),
        };
        let failed = source.fetch("timestamp.json", 1).await.unwrap_err();
        assert!(matches!(failed, SourceError::Outage(_)), "{failed}");
    }
}
