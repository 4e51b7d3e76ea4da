//! The protocol's examples, and answers that do not follow it.

use super::*;

const A: &str = "1111111111111111111111111111111111111111";
const B: &str = "2222222222222222222222222222222222222222";

fn packets(lines: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        match *line {
            b"0000" | b"0001" => bytes.extend_from_slice(line),
            line => {
                bytes.extend(format!("{:04x}", line.len() + 4).into_bytes());
                bytes.extend_from_slice(line);
            }
        }
    }
    bytes
}

#[test]
fn a_listing_names_references_and_what_head_stands_for() {
    let head = format!("{A} HEAD symref-target:refs/heads/main\n");
    let main = format!("{A} refs/heads/main\n");
    let listed = read_list(&packets(&[head.as_bytes(), main.as_bytes(), b"0000"])).unwrap();
    assert_eq!(listed[0].target.as_deref(), Some("refs/heads/main"));
    assert_eq!(listed[1].name, "refs/heads/main");
    assert_eq!(read_list(b"0000"), Ok(Vec::new()));
}

#[test]
fn answers_of_other_services_and_cut_ones_are_malformed() {
    for answer in [
        b"".as_slice(),
        b"<html>",
        b"001",
        b"0005",
        b"0009ab",
        b"0002",
        b"zzzz",
        b"000ahello\n",
        b"\xff\xff\xff\xff",
    ] {
        assert!(read_list(answer).is_err(), "{answer:?}");
        assert!(read_fetch(answer).is_err(), "{answer:?}");
        assert!(read_advertisement(answer).is_err(), "{answer:?}");
    }
    let error = packets(&[b"ERR no such repository\n"]);
    assert_eq!(
        read_list(&error),
        Err(Malformed::Error("no such repository".into()))
    );
}

#[test]
fn a_fetch_answer_gives_the_pack_and_its_boundaries() {
    let shallow = format!("shallow {A}");
    let unshallow = format!("unshallow {B}");
    let answer = packets(&[
        b"shallow-info\n",
        shallow.as_bytes(),
        unshallow.as_bytes(),
        b"0001",
        b"packfile\n",
        b"\x01PACK",
        b"\x02counting",
        b"\x01rest",
        b"0000",
    ]);
    let fetched = read_fetch(&answer).unwrap();
    assert_eq!(fetched.pack, b"PACKrest");
    assert_eq!(fetched.shallow, [A.parse().unwrap()]);
    assert_eq!(fetched.unshallow, [B.parse().unwrap()]);
    let cut = packets(&[b"packfile\n", b"\x01PACK"]);
    assert_eq!(read_fetch(&cut), Err(Malformed::Format("the pack is cut")));
    let failed = packets(&[b"packfile\n", b"\x03out of memory"]);
    assert_eq!(
        read_fetch(&failed),
        Err(Malformed::Error("out of memory".into()))
    );
}

fn advertisement(capabilities: &str) -> Advertisement {
    let first = format!("{A} refs/heads/main\0{capabilities}\n");
    let second = format!("{B} refs/heads/x\n");
    let service = b"# service=git-receive-pack\n";
    read_advertisement(&packets(&[
        service,
        b"0000",
        first.as_bytes(),
        second.as_bytes(),
        b"0000",
    ]))
    .unwrap()
}

#[test]
fn a_push_names_the_expected_commit_and_only_known_capabilities() {
    let known = advertisement("report-status side-band-64k delete-refs");
    assert_eq!(known.find("refs/heads/x"), B.parse().ok());
    let request = push_request(
        &known,
        "refs/heads/main",
        A.parse().ok(),
        B.parse().unwrap(),
        b"PACK",
    );
    let text = String::from_utf8_lossy(&request).into_owned();
    let expected = format!("{A} {B} refs/heads/main\0report-status side-band-64k agent=");
    assert!(text.contains(&expected), "{text}");
    assert!(text.ends_with("0000PACK"));
    let made = push_request(&known, "refs/heads/new", None, B.parse().unwrap(), b"");
    assert!(String::from_utf8_lossy(&made).contains(&"0".repeat(40)));
}

#[test]
fn an_empty_repository_advertises_capabilities_alone() {
    let line = format!("{} capabilities^{{}}\0report-status\n", "0".repeat(40));
    let answer = packets(&[
        b"# service=git-receive-pack\n",
        b"0000",
        line.as_bytes(),
        b"0000",
    ]);
    assert_eq!(read_advertisement(&answer).unwrap().references, []);
}

#[test]
fn a_report_says_what_happened_to_the_branch() {
    let known = advertisement("report-status side-band-64k");
    let read = |lines: &[&[u8]], said: &[u8]| {
        let inner = [[1].as_slice(), &packets(lines)].concat();
        let progress = [[2].as_slice(), said].concat();
        read_report(
            &known,
            "refs/heads/main",
            &packets(&[&progress, &inner, b"0000"]),
        )
    };
    let fine = read(
        &[b"unpack ok\n", b"ok refs/heads/main\n", b"0000"],
        b"hello\n",
    )
    .unwrap();
    assert_eq!((fine.refused, fine.said.as_str()), (None, "hello"));
    let declined = read(
        &[
            b"unpack ok\n",
            b"ng refs/heads/main pre-receive hook declined\n",
            b"0000",
        ],
        b"no",
    );
    assert_eq!(
        declined.unwrap().refused.as_deref(),
        Some("pre-receive hook declined")
    );
    let full = read(
        &[
            b"unpack disk full\n",
            b"ng refs/heads/main unpacker error\n",
            b"0000",
        ],
        b"no",
    );
    assert_eq!(
        full.unwrap().refused.as_deref(),
        Some("unpacking failed: disk full")
    );
    for silent in [
        &[b"unpack ok\n".as_slice(), b"ok refs/heads/other\n", b"0000"][..],
        &[b"0000"],
    ] {
        assert!(read(silent, b"").is_err());
    }
    let plain = advertisement("report-status");
    let answer = packets(&[b"unpack ok\n", b"ok refs/heads/main\n", b"0000"]);
    assert_eq!(
        read_report(&plain, "refs/heads/main", &answer)
            .unwrap()
            .refused,
        None
    );
}
