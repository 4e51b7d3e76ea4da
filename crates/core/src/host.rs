//! Host names that are read as addresses.
//!
//! Resolvers and URL parsers take `0x7f.1`, `0177.0.0.1` and `2130706433` for `127.0.0.1`: a rule
//! about a host, or about an address, must not be passed by under another spelling. WHATWG URL,
//! "ends in a number"; inet_aton(3).

use std::net::Ipv4Addr;

/// Whether `host`, without a port, is a number that readers take for an IPv4 address and that is not
/// written as four decimal numbers.
#[must_use]
pub fn is_disguised_address(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = match last.strip_prefix("0x").or_else(|| last.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()),
    };
    is_number && host.parse::<Ipv4Addr>().is_err()
}

/// A host without its port: `h:5000` is `h`, `[::1]:5000` is `[::1]`.
#[must_use]
pub fn without_port(text: &str) -> &str {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_disguise_are_seen_and_names_and_plain_addresses_are_not() {
        for host in [
            "0x7f.1",
            "0X7F.0.0.1",
            "0177.0.0.1",
            "2130706433",
            "0x7f000001",
            "017700000001",
            "127.1",
            "127.0.0.1.1",
            "256.0.0.1",
            "127.0.0.01",
            "a.0x",
            "h.1",
            "127.1.",
            "09",
        ] {
            assert!(is_disguised_address(host), "{host}");
        }
        for host in [
            "127.0.0.1",
            "10.0.0.255",
            "h",
            "r.example",
            "1.example",
            "0x7f.example",
            "registry1",
            "0xg",
            "[::1]",
            "[::ffff:7f00:1]",
            "localhost",
            "",
            ".",
        ] {
            assert!(!is_disguised_address(host), "{host}");
        }
        assert_eq!(without_port("0x7f.1:5000"), "0x7f.1");
        assert_eq!(without_port("[::1]:5000"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
    }
}
