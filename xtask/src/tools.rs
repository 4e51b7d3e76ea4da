//! The real signers and servers of Sigstore, built from `tools/` with Go ([`go_tool`]).

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use sealift_testkit::go_tool::{self, GoTool};

pub(crate) use sealift_testkit::sigstore::VARIABLE;

const PROGRAMS: &[GoTool] = &[
    GoTool::new("cosign", "github.com/sigstore/cosign/v3/cmd/cosign"),
    GoTool::new("cosign2", "github.com/sigstore/cosign/v2/cmd/cosign"),
    GoTool::new("fulcio", "github.com/sigstore/fulcio"),
    GoTool::new(
        "rekor",
        "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix",
    ),
    GoTool::new(
        "timestamp",
        "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server",
    ),
];

/// The folders with the programs, built where they are not there yet; `None`: there is no Go.
pub(crate) fn build() -> Result<Option<Vec<PathBuf>>> {
    if go_tool::go().is_none() {
        return Ok(None);
    }
    let folders = PROGRAMS.iter().map(|tool| {
        let program = tool.built().map_err(anyhow::Error::msg);
        let mut folder = program.with_context(|| format!("cannot build `{}`", tool.name()))?;
        println!("{}", folder.display());
        folder.pop();
        Ok(folder)
    });
    folders.collect::<Result<_>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_pins_the_package_that_is_built_from_it() {
        for tool in PROGRAMS {
            assert!(tool.is_pinned(), "{}", tool.name());
        }
    }
}
