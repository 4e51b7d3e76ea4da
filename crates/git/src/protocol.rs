//! Git's wire protocol as bytes in, values out. Pure: whoever carries the bytes is elsewhere.
//!
//! gitprotocol-common(5), "pkt-line Format"; gitprotocol-v2(5), `ls-refs` and `fetch`;
//! gitprotocol-pack(5), "Pushing Data To a Server". Answers come from strangers: what does not
//! follow the format is [`Malformed`], never a panic.

use std::fmt::Write as _;

use sealift_core::oid::{ObjectFormat, Oid};

/// An answer that does not follow the protocol: another version of it, another service, or an
/// attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It is not what was asked for.
    Format(&'static str),
    /// The server's own words, from an `ERR` line or the error band.
    Error(String),
}

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// `0000`.
    Flush,
    /// `0001`.
    Delimiter,
    /// Anything with content.
    Data(&'a [u8]),
}

/// Packets of an answer; ends at the end of the bytes.
pub(crate) struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Packets<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next packet; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Packet<'a>>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let length = self
            .rest
            .get(..4)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let length = length.and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let length = length.ok_or(Malformed::Format("a packet has no length"))?;
        let (end, packet) = match length {
            0 => (4, Packet::Flush),
            1 => (4, Packet::Delimiter),
            4.. => {
                let data = self.rest.get(4..length);
                (
                    length,
                    Packet::Data(data.ok_or(Malformed::Format("a packet is cut"))?),
                )
            }
            _ => return Err(Malformed::Format("a packet has a reserved length")),
        };
        self.rest = self.rest.get(end..).unwrap_or_default();
        match packet {
            Packet::Data(data) if data.starts_with(b"ERR ") => {
                let said = data.get(4..).unwrap_or_default();
                Err(Malformed::Error(
                    String::from_utf8_lossy(said).trim().to_owned(),
                ))
            }
            packet => Ok(Some(packet)),
        }
    }

    /// The next packet as a line without its end; `None` for a flush, a delimiter or the end.
    fn line(&mut self) -> Result<Option<&'a str>, Malformed> {
        match self.next()? {
            Some(Packet::Data(data)) => {
                let line = std::str::from_utf8(data);
                let line = line.map_err(|_| Malformed::Format("a line is not UTF-8"))?;
                Ok(Some(line.strip_suffix('\n').unwrap_or(line)))
            }
            _ => Ok(None),
        }
    }
}

/// Packets of a request.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn line(&mut self, text: &str) -> &mut Self {
        self.0
            .extend(format!("{:04x}{text}", text.len() + 4).into_bytes());
        self
    }

    fn delimiter(&mut self) -> &mut Self {
        self.0.extend(b"0001");
        self
    }

    fn flush(&mut self) -> &mut Self {
        self.0.extend(b"0000");
        self
    }

    fn command(&mut self, command: &str, format: ObjectFormat) -> &mut Self {
        self.line(&format!("command={command}")).line(AGENT);
        // SHA-1 goes without saying, and servers that know no other name for it may not know this
        // line.
        if format != ObjectFormat::Sha1 {
            self.line(&format!("object-format={}", format.name()));
        }
        self.delimiter()
    }
}

const AGENT: &str = concat!("agent=sealift/", env!("CARGO_PKG_VERSION"));

/// One reference of a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) oid: Oid,
    /// The reference that it stands for.
    pub(crate) target: Option<String>,
    /// What an annotated tag stands for.
    pub(crate) peeled: Option<Oid>,
}

/// `ls-refs`: asks for `HEAD` and the references that begin with `prefixes`.
pub(crate) fn list_request(format: ObjectFormat, prefixes: &[String]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer
        .command("ls-refs", format)
        .line("symrefs")
        .line("peel")
        .line("ref-prefix HEAD");
    for prefix in prefixes {
        writer.line(&format!("ref-prefix {prefix}"));
    }
    writer.flush();
    writer.0
}

/// The answer to [`list_request`].
pub(crate) fn read_list(answer: &[u8]) -> Result<Vec<Reference>, Malformed> {
    let mut packets = Packets::new(answer);
    let mut references = Vec::new();
    while let Some(line) = packets.line()? {
        let mut words = line.split(' ');
        let oid = words.next().and_then(|oid| oid.parse().ok());
        let (Some(oid), Some(name)) = (oid, words.next()) else {
            return Err(Malformed::Format("a reference cannot be read"));
        };
        let mut reference = Reference {
            name: name.to_owned(),
            oid,
            target: None,
            peeled: None,
        };
        for word in words {
            if let Some(target) = word.strip_prefix("symref-target:") {
                reference.target = Some(target.to_owned());
            } else if let Some(peeled) = word.strip_prefix("peeled:") {
                let peeled = peeled.parse();
                let peeled = peeled.map_err(|_| Malformed::Format("a tag cannot be peeled"))?;
                reference.peeled = Some(peeled);
            }
        }
        references.push(reference);
    }
    if !answer.ends_with(b"0000") {
        return Err(Malformed::Format("the listing is cut"));
    }
    Ok(references)
}

/// What a fetch asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Want {
    pub(crate) oids: Vec<Oid>,
    /// Commits that are here with all their trees.
    pub(crate) haves: Vec<Oid>,
    /// Commits that are here without their parents.
    pub(crate) shallow: Vec<Oid>,
    /// Commits below each wanted one, itself included.
    pub(crate) depth: Option<usize>,
    /// What is left out, for example `blob:none`.
    pub(crate) filter: &'static str,
}

/// `fetch`, in one round: what is here is said at once, and nothing is negotiated.
pub(crate) fn fetch_request(format: ObjectFormat, want: &Want) -> Vec<u8> {
    let mut writer = Writer::default();
    writer
        .command("fetch", format)
        .line("ofs-delta")
        .line("no-progress");
    if !want.haves.is_empty() {
        writer.line("thin-pack");
    }
    for oid in &want.oids {
        writer.line(&format!("want {oid}"));
    }
    for oid in &want.haves {
        writer.line(&format!("have {oid}"));
    }
    for oid in &want.shallow {
        writer.line(&format!("shallow {oid}"));
    }
    if let Some(depth) = want.depth {
        writer.line(&format!("deepen {depth}"));
    }
    writer
        .line(&format!("filter {}", want.filter))
        .line("done")
        .flush();
    writer.0
}

/// The answer to [`fetch_request`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) pack: Vec<u8>,
    /// Commits that came without their parents.
    pub(crate) shallow: Vec<Oid>,
    /// Commits whose parents came.
    pub(crate) unshallow: Vec<Oid>,
}

/// The answer to [`fetch_request`].
pub(crate) fn read_fetch(answer: &[u8]) -> Result<Fetched, Malformed> {
    let mut packets = Packets::new(answer);
    let mut fetched = Fetched::default();
    loop {
        match packets.line()? {
            Some("shallow-info") => {
                while let Some(line) = packets.line()? {
                    let (kind, oid) = line.split_once(' ').unwrap_or((line, ""));
                    let oid = oid
                        .parse()
                        .map_err(|_| Malformed::Format("a boundary cannot be read"))?;
                    match kind {
                        "shallow" => fetched.shallow.push(oid),
                        "unshallow" => fetched.unshallow.push(oid),
                        _ => return Err(Malformed::Format("a boundary is of no known kind")),
                    }
                }
            }
            Some("packfile") => break,
            Some("acknowledgments" | "wanted-refs" | "packfile-uris") => {
                while packets.line()?.is_some() {}
            }
            _ => return Err(Malformed::Format("there is no pack")),
        }
    }
    let whole = bands(&mut packets, |band, data| {
        if band == Band::Data {
            fetched.pack.extend_from_slice(data);
        }
    })?;
    if whole {
        Ok(fetched)
    } else {
        Err(Malformed::Format("the pack is cut"))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Band {
    Data,
    Progress,
}

/// Takes the side bands apart; whether a flush ended them.
fn bands(packets: &mut Packets<'_>, mut each: impl FnMut(Band, &[u8])) -> Result<bool, Malformed> {
    loop {
        match packets.next()? {
            Some(Packet::Data([1, data @ ..])) => each(Band::Data, data),
            Some(Packet::Data([2, data @ ..])) => each(Band::Progress, data),
            Some(Packet::Data([3, said @ ..])) => {
                return Err(Malformed::Error(
                    String::from_utf8_lossy(said).trim().to_owned(),
                ));
            }
            Some(Packet::Flush) => return Ok(true),
            None => return Ok(false),
            Some(Packet::Delimiter | Packet::Data(_)) => {
                return Err(Malformed::Format("a packet is on no known band"));
            }
        }
    }
}

/// What a server says before a push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Advertisement {
    pub(crate) references: Vec<(String, Oid)>,
    capabilities: Vec<String>,
}

impl Advertisement {
    /// Where `reference` points; `None`: it does not exist.
    pub(crate) fn find(&self, reference: &str) -> Option<Oid> {
        let mut all = self.references.iter();
        all.find(|(name, _)| name == reference).map(|(_, oid)| *oid)
    }

    fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|one| one == capability)
    }
}

/// The answer to `GET info/refs?service=git-receive-pack`.
pub(crate) fn read_advertisement(answer: &[u8]) -> Result<Advertisement, Malformed> {
    let mut packets = Packets::new(answer);
    if packets.line()? != Some("# service=git-receive-pack") {
        return Err(Malformed::Format("it is not the smart protocol"));
    }
    packets.line()?;
    let mut advertisement = Advertisement::default();
    while let Some(line) = packets.line()? {
        if line.starts_with("version ") || line.starts_with("shallow ") {
            continue;
        }
        let (reference, capabilities) = line.split_once('\0').unwrap_or((line, ""));
        advertisement
            .capabilities
            .extend(capabilities.split_whitespace().map(str::to_owned));
        let (oid, name) = reference.split_once(' ').unwrap_or((reference, ""));
        let oid = oid
            .parse()
            .map_err(|_| Malformed::Format("a reference cannot be read"))?;
        if name != "capabilities^{}" {
            advertisement.references.push((name.to_owned(), oid));
        }
    }
    if advertisement.has("report-status") {
        Ok(advertisement)
    } else {
        Err(Malformed::Format("the server does not report what it did"))
    }
}

/// The update of one reference, as compare-and-swap, and the objects for it.
pub(crate) fn push_request(
    advertisement: &Advertisement,
    reference: &str,
    expected: Option<Oid>,
    new: Oid,
    pack: &[u8],
) -> Vec<u8> {
    let format = new.format();
    let mut line = format!(
        "{} {new} {reference}\0report-status",
        expected.unwrap_or(Oid::zero(format))
    );
    for capability in ["side-band-64k", "quiet"] {
        if advertisement.has(capability) {
            let _ = write!(line, " {capability}");
        }
    }
    if advertisement.has(&format!("object-format={}", format.name())) {
        let _ = write!(line, " object-format={}", format.name());
    }
    let mut writer = Writer::default();
    writer.line(&format!("{line} {AGENT}")).flush();
    writer.0.extend_from_slice(pack);
    writer.0
}

/// What the server did with an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// `None`: the reference was updated; else the server's reason.
    pub(crate) refused: Option<String>,
    /// What hooks and the forge said.
    pub(crate) said: String,
}

/// The answer to [`push_request`].
pub(crate) fn read_report(
    advertisement: &Advertisement,
    reference: &str,
    answer: &[u8],
) -> Result<Report, Malformed> {
    let mut report = Vec::new();
    let mut said = Vec::new();
    if advertisement.has("side-band-64k") {
        bands(&mut Packets::new(answer), |band, data| match band {
            Band::Data => report.extend_from_slice(data),
            Band::Progress => said.extend_from_slice(data),
        })?;
    } else {
        report.extend_from_slice(answer);
    }
    let mut packets = Packets::new(&report);
    let (mut unpacked, mut refused) = (None, None);
    while let Some(line) = packets.line()? {
        if let Some(result) = line.strip_prefix("unpack ") {
            unpacked = Some(result);
        } else if line.strip_prefix("ok ") == Some(reference) {
            refused = Some(None);
        } else if let Some(rest) = line.strip_prefix("ng ") {
            let (name, why) = rest.split_once(' ').unwrap_or((rest, "without a reason"));
            if name == reference {
                refused = Some(Some(why.to_owned()));
            }
        }
    }
    let refused = match (unpacked, refused) {
        (Some("ok"), Some(refused)) => refused,
        (Some(failed), Some(_)) if failed != "ok" => Some(format!("unpacking failed: {failed}")),
        _ => return Err(Malformed::Format("the server did not report on the branch")),
    };
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Ok(Report { refused, said })
}

#[cfg(test)]
mod tests;
