//! The one way out: TLS, proxies, limits on every answer, redirects, egress rules, retries.
//!
//! Here: *how* a request leaves and what an answer may cost. Not here: what is asked, or of whom it
//! is believed. Every byte that Sealift sends by HTTP passes [`Client::send`].

mod bucket;
mod counters;
mod egress;
mod error;
mod http;
mod pace;
mod redirect;
mod retry;
mod tls;

pub use counters::{Counts, Kind, RegistryCounts};
pub use egress::Egress;
pub use error::NetError;
pub use http::{Client, Deadlines, Net, Proxies, Request, Response, Settings};
pub use redirect::same_origin;
pub use retry::Retry;
pub use tls::Tls;
