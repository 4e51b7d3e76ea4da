//! The way out against servers that misbehave.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod answers;
mod pace;
mod redirects;
mod tls;

use sealift_net::{
    Client, Deadlines, Kind, Net, NetError, Request, Response, Retry, Settings, Tls,
};
use url::Url;

/// Short deadlines and one retry wait, so that tests end.
fn settings() -> Settings {
    Settings {
        deadlines: Deadlines {
            connect_ms: 2_000,
            head_ms: 2_000,
            total_ms: 4_000,
        },
        retry: Retry {
            tries: 3,
            wait_ms: 1,
            pause_wait_ms_max: 3_000,
        },
        ..Settings::default()
    }
}

fn net() -> Net {
    Net::new(settings()).unwrap()
}

fn client() -> Client {
    net().client(&Tls::default()).unwrap()
}

fn get(url: &str) -> Request {
    Request::get(Kind::Other, Url::parse(url).unwrap(), 10_000)
}

async fn send(client: &Client, url: &str) -> Result<Response, NetError> {
    client.send(&get(url)).await
}
