//! Trust roots through TUF: whatever a repository serves, and whatever lies where a copy is kept,
//! nothing but what the pinned root's keys signed comes out.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use jiff::Timestamp;
use sealift_trust::root::{Ask, Fetched, Pinned, Shelf, Source, SourceError, obtain};

/// The root that the repositories of the corpus begin with.
const START: &[u8] = include_bytes!("../../corpus/tuf_repositories/start.root.json");
/// What they serve as `trusted_root.json`. Its keys are gone: nothing else was ever signed.
const CONTENT: &[u8] = b"a trust root";

/// Files by their paths. In the input each follows a line `--- PATH`.
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let parts = text.split("--- ").filter_map(|part| part.split_once('\n'));
        let file = |(path, body): (&str, &str)| {
            let body = body.strip_suffix('\n').unwrap_or(body);
            (path.to_owned(), body.as_bytes().to_vec())
        };
        Self(parts.map(file).collect())
    }
}

impl Source for Files {
    fn fetch<'a>(&'a self, path: &'a str, _: usize) -> Fetched<'a> {
        assert!(!path.contains("..") && !path.starts_with('/'), "{path}");
        Box::pin(std::future::ready(Ok(self.0.get(path).cloned())))
    }
}

struct Down;

impl Source for Down {
    fn fetch<'a>(&'a self, _: &'a str, _: usize) -> Fetched<'a> {
        let outage = SourceError::Outage("down".to_owned());
        Box::pin(std::future::ready(Err(outage)))
    }
}

struct Copy(Option<Vec<u8>>);

impl Shelf for Copy {
    fn load(&self) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.clone())
    }

    fn store(&self, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

pub(super) fn repositories(bytes: &[u8]) {
    let _any_start = Pinned::new(bytes.into());
    believes_only_what_was_signed(Files::read(bytes), None);
    believes_only_what_was_signed(Down, Some(bytes.to_vec()));
}

fn believes_only_what_was_signed(source: impl Source + 'static, copy: Option<Vec<u8>>) {
    let pinned = Pinned::new(START.into()).expect("the corpus");
    let (source, shelf) = (Arc::new(source), Arc::new(Copy(copy)));
    let ask = Ask::default();
    let now = Timestamp::UNIX_EPOCH;
    let mut walk = pin!(obtain(&pinned, source, shelf, &ask, now));
    let mut context = Context::from_waker(Waker::noop());
    match walk.as_mut().poll(&mut context) {
        Poll::Ready(Ok(obtained)) => assert_eq!(&*obtained.bytes, CONTENT),
        Poll::Ready(Err(error)) => assert!(!error.to_string().is_empty()),
        Poll::Pending => panic!("nothing here waits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;

    /// Else the target would prove nothing.
    #[test]
    fn the_honest_inputs_of_the_corpus_are_believed() {
        let inputs: BTreeMap<String, Vec<u8>> =
            corpus::read("tuf_repositories").into_iter().collect();
        let honest = Files::read(&inputs["honest.txt"]);
        let kept = inputs["kept.json"].clone();
        let cases: [(Arc<dyn Source>, _); 2] =
            [(Arc::new(honest), None), (Arc::new(Down), Some(kept))];
        for (source, copy) in cases {
            let pinned = Pinned::new(START.into()).unwrap();
            let ask = Ask::default();
            let now = Timestamp::UNIX_EPOCH;
            let walk = obtain(&pinned, source, Arc::new(Copy(copy)), &ask, now);
            let answer = pin!(walk).poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Ok(obtained)) = answer else {
                panic!("refused")
            };
            assert_eq!(&*obtained.bytes, CONTENT);
        }
    }
}
