//! Where requests may not go: link-local and metadata addresses.
//!
//! Registry URLs, token realms and redirects come from strangers. The rule is checked on the
//! address that is connected to, inside the resolver, so a name that resolves differently a moment
//! later gains nothing. RFC 3927, RFC 4291; metadata addresses as the clouds document them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Addresses that the operator's own configuration names, and so allows.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    allowed: Arc<BTreeSet<IpAddr>>,
}

/// A name led to a forbidden address.
#[derive(Debug, thiserror::Error)]
#[error("the address `{address}` of `{host}` is link-local or serves metadata")]
pub(crate) struct EgressRefused {
    pub(crate) host: String,
    pub(crate) address: IpAddr,
}

impl Egress {
    /// Allows `addresses` although they are link-local. Only literal addresses can be allowed: a
    /// name would allow whatever it resolves to.
    #[must_use]
    pub fn allowing(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self {
            allowed: Arc::new(addresses.into_iter().collect()),
        }
    }

    /// Checks a URL whose host is a literal address; the resolver never sees those.
    pub(crate) fn check_literal(&self, url: &Url) -> Result<(), EgressRefused> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            _ => return Ok(()),
        };
        if self.allows(address) {
            return Ok(());
        }
        Err(EgressRefused {
            host: url.host_str().unwrap_or_default().to_owned(),
            address,
        })
    }

    fn allows(&self, address: IpAddr) -> bool {
        !is_forbidden(address) || self.allowed.contains(&address)
    }
}

impl Resolve for Egress {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            // One forbidden address is enough: a name that mixes them is an attack or a mistake.
            if let Some(refused) = found.iter().find(|found| !egress.allows(found.ip())) {
                let address = refused.ip();
                return Err(EgressRefused { host, address }.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether `url` names this machine. A redirect from elsewhere may not lead here.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback()
                || address
                    .to_ipv4_mapped()
                    .is_some_and(|address| address.is_loopback())
        }
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

fn is_forbidden(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_forbidden_v4(address),
        IpAddr::V6(address) => is_forbidden_v6(address),
    }
}

fn is_forbidden_v4(address: Ipv4Addr) -> bool {
    // Alibaba Cloud, Azure and Oracle serve metadata outside of 169.254.0.0/16.
    const METADATA: [[u8; 4]; 3] = [[100, 100, 100, 200], [168, 63, 129, 16], [192, 0, 0, 192]];
    let octets = address.octets();
    address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || octets[0] == 0
        || METADATA.contains(&octets)
}

fn is_forbidden_v6(address: Ipv6Addr) -> bool {
    // Amazon serves metadata at fd00:ec2::254.
    const METADATA: [u16; 8] = [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254];
    let segments = address.segments();
    let embedded = match segments {
        // IPv4-mapped, and the well-known NAT64 prefix of RFC 6052.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_forbidden_v4(Ipv4Addr::new(a, b, c, d))
        }
        _ => false,
    };
    embedded
        || address.is_unicast_link_local()
        || address.is_multicast()
        || address.is_unspecified()
        || segments == METADATA
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_metadata_addresses_are_forbidden_in_every_spelling() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "0.0.0.0",
            "100.100.100.200",
            "168.63.129.16",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "febf::1",
            "::",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fd00:ec2::254",
            "ff02::1",
        ] {
            assert!(is_forbidden(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn public_private_and_loopback_addresses_are_allowed() {
        for text in [
            "1.1.1.1",
            "10.0.0.1",
            "127.0.0.1",
            "::1",
            "fd00::1",
            "2001:db8::1",
        ] {
            assert!(!is_forbidden(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn an_address_that_the_operator_names_is_allowed() {
        let url = Url::parse("http://169.254.1.2:5000/v2/").unwrap();
        assert!(Egress::default().check_literal(&url).is_err());
        let egress = Egress::allowing(["169.254.1.2".parse().unwrap()]);
        assert!(egress.check_literal(&url).is_ok());
    }

    #[test]
    fn numeric_spellings_of_an_address_are_seen_through() {
        for text in [
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://[::ffff:a9fe:a9fe]/",
        ] {
            let url = Url::parse(text).unwrap();
            assert!(Egress::default().check_literal(&url).is_err(), "{text}");
        }
    }
}
