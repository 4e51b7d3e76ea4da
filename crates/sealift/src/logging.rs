//! Logs: lines on standard error that read alone. Data never goes here, secrets neither.
//!
//! Whoever collects them reads the forms of Argo CD Image Updater, which are those of logrus: one
//! line of `key=value`, or one object of JSON, with `time`, `level` and `msg`, and the other fields
//! beside them by name. On a terminal people read, and lines are for them. Drop-in contract, "Log
//! lines scripts rely on".

use std::collections::BTreeMap;
use std::fmt;
use std::io::IsTerminal as _;

use jiff::Timestamp;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::{LogFormat, LogLevel};
use crate::output::visible_json;
use crate::progress::AboveTheLine;

/// Starts logging. A second call changes nothing.
pub fn start(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| AboveTheLine);
    // A subscriber that is already there, as in tests, keeps its place.
    let _ = match format {
        LogFormat::Text if terminal => {
            let colour = std::env::var_os("NO_COLOR").is_none();
            let subscriber = builder.with_ansi(colour).finish();
            subscriber.with(quiet()).try_init()
        }
        format => {
            let subscriber = builder.event_format(Lines(format)).finish();
            subscriber.with(quiet()).try_init()
        }
    };
}

/// The client of the API server logs whole answers that it cannot read, Secrets among them: nothing
/// of it is logged, at no level. What failed is said by whoever asked.
fn quiet() -> FilterFn {
    FilterFn::new(|metadata| !metadata.target().starts_with("kube_client"))
}

/// One line an event.
struct Lines(LogFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields {
            message,
            mut others,
        } = fields;
        let target = event.metadata().target();
        others
            .entry("logger".to_owned())
            .or_insert_with(|| Value::from(target));
        let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let level = level(*event.metadata().level());
        let first = [
            ("time", time),
            ("level", level.to_owned()),
            ("msg", message),
        ];
        match self.0 {
            LogFormat::Json => {
                others.extend(first.map(|(key, value)| (key.to_owned(), Value::from(value))));
                writeln!(writer, "{}", visible_json(&others))
            }
            LogFormat::Text => {
                for (index, (key, value)) in first.iter().enumerate() {
                    let gap = if index == 0 { "" } else { " " };
                    write!(writer, "{gap}{key}={}", quoted(value))?;
                }
                for (key, value) in &others {
                    match value {
                        Value::String(text) => write!(writer, " {key}={}", quoted(text))?,
                        value => write!(writer, " {key}={value}")?,
                    }
                }
                writeln!(writer)
            }
        }
    }
}

/// The words of logrus.
const fn level(level: Level) -> &'static str {
    match level {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info",
        Level::WARN => "warning",
        Level::ERROR => "error",
    }
}

/// A text as it stands, or in quotes where it would not be read as one value.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    visible_json(&text)
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    others: BTreeMap<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match field.name() {
            "message" => {
                self.message = match value {
                    Value::String(text) => text,
                    value => value.to_string(),
                }
            }
            // Where a line stands in the source of a library.
            name if name.starts_with("log.") => {}
            name => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::from(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The lines that an action logs in this form.
    fn lines(format: LogFormat, act: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .event_format(Lines(format))
            .finish();
        tracing::subscriber::with_default(subscriber.with(quiet()), act);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn act() {
        let application = "argocd/shop";
        tracing::warn!(
            application,
            count = 3,
            done = true,
            "imageUpdater_name" = "all",
            odd = "a \"b\" \\ \u{1b}[31m\u{202e}\n=",
            "Setting new image to {}",
            "x:1"
        );
    }

    #[test]
    fn a_line_of_text_is_as_logrus_writes_it() {
        let line = lines(LogFormat::Text, act);
        let (time, rest) = line.split_once(' ').unwrap();
        let time = time.strip_prefix("time=\"").unwrap().trim_end_matches('"');
        assert!(
            time.parse::<Timestamp>().is_ok() && time.ends_with('Z'),
            "{line}"
        );
        assert_eq!(
            rest,
            "level=warning msg=\"Setting new image to x:1\" application=argocd/shop count=3 \
             done=true imageUpdater_name=all logger=\"sealift::logging::tests\" odd=\"a \\\"b\\\" \
             \\\\ \\u001b[31m\\u202e\\n=\"\n"
        );
    }

    #[test]
    fn a_line_of_json_has_its_fields_beside_time_level_and_msg() {
        let line = lines(LogFormat::Json, act);
        assert!(
            line.ends_with("}\n") && line.matches('\n').count() == 1,
            "{line}"
        );
        assert!(
            !line
                .trim_end()
                .contains(|c: char| c.is_control() || c == '\u{202e}')
        );
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            [&value["level"], &value["msg"], &value["application"]],
            ["warning", "Setting new image to x:1", "argocd/shop"]
        );
        assert_eq!(value["count"], 3);
        assert_eq!(value["odd"], "a \"b\" \\ \u{1b}[31m\u{202e}\n=");
        assert!(value["time"].as_str().unwrap().parse::<Timestamp>().is_ok());
    }

    #[test]
    fn what_the_client_of_the_api_server_logs_is_not_logged() {
        let act = || {
            tracing::warn!(target: "kube_client::client", "a whole Secret");
            tracing::warn!(target: "kube_runtime::watcher", "a watch broke");
        };
        let lines = lines(LogFormat::Text, act);
        assert!(!lines.contains("a whole Secret"), "{lines}");
        assert!(lines.contains("a watch broke"), "{lines}");
    }
}
