//! Settings of the server: flag before environment before file before default.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;

use anyhow::Context as _;
use pagevault_server::ServerSettings;
use serde::Deserialize;

use crate::args::ServeArgs;
use crate::failure::Advised;
use crate::paths;

/// All that `serve` needs to know.
#[derive(Debug)]
pub(crate) struct ServeConfig {
    pub(crate) server: ServerSettings,
    pub(crate) log: String,
    pub(crate) log_json: bool,
    /// Where traces go, if anywhere.
    pub(crate) otlp: Option<String>,
}

/// What a file may say beside the server's own settings.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Process {
    insecure: Option<bool>,
    log: Option<String>,
    log_json: Option<bool>,
    otlp: Option<String>,
}

const PROCESS_KEYS: [&str; 4] = ["insecure", "log", "log-json", "otlp"];

/// Puts the settings together. Flags and environment are in `args` already.
pub(crate) fn load(args: ServeArgs) -> anyhow::Result<ServeConfig> {
    let file = match &args.config {
        Some(path) => read(path)?,
        None => toml::Table::new(),
    };
    let source = args.config.clone();
    combine(args, file).map_err(|error| match source.filter(|_| error.is::<toml::de::Error>()) {
        Some(path) => error.context(path.display().to_string()),
        None => error,
    })
}

fn read(path: &Path) -> anyhow::Result<toml::Table> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.parse().with_context(|| path.display().to_string())
}

fn combine(args: ServeArgs, mut file: toml::Table) -> anyhow::Result<ServeConfig> {
    let mut process = toml::Table::new();
    for key in PROCESS_KEYS {
        process.extend(file.remove(key).map(|value| (key.to_owned(), value)));
    }
    let process: Process = process.try_into()?;
    let data_in_file = file.contains_key("data");
    let mut server: ServerSettings = file.try_into()?;
    if let Some(listen) = &args.listen {
        server.listen = address(listen)?;
    }
    match args.data {
        Some(data) => server.data = data,
        None if data_in_file => {}
        None => server.data = default_data()?,
    }
    server.reserve = args.reserve.unwrap_or(server.reserve);
    server.window = args.window.unwrap_or(server.window);
    server.retention = args.retention.or(server.retention);
    server.gc_interval_seconds = args.gc_interval.unwrap_or(server.gc_interval_seconds);
    check_listen(server.listen, args.insecure.or(process.insecure).unwrap_or(false))?;
    Ok(ServeConfig {
        server,
        log: args.log.or(process.log).unwrap_or_else(|| "info".to_owned()),
        log_json: args.log_json.or(process.log_json).unwrap_or(false),
        // A variable that is set to nothing says that there is none.
        otlp: args.otlp.or(process.otlp).filter(|url| !url.is_empty()),
    })
}

fn default_data() -> anyhow::Result<std::path::PathBuf> {
    paths::data().ok_or_else(|| {
        Advised::usage("there is no home folder to keep data in", "--data DIR says where").into()
    })
}

/// An address to listen on, by number or name.
pub(crate) fn address(text: &str) -> anyhow::Result<SocketAddr> {
    let hint = "it is of the form 127.0.0.1:5000";
    let wrong = |why: String| Advised::usage(format!("cannot listen on {text:?}: {why}"), hint);
    let mut found = text.to_socket_addrs().map_err(|e| wrong(e.to_string()))?;
    Ok(found.next().ok_or_else(|| wrong("it has no address".to_owned()))?)
}

/// There is no access control: beyond loopback only for those who say so.
fn check_listen(listen: SocketAddr, insecure: bool) -> anyhow::Result<()> {
    if insecure || listen.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(Advised::usage(
        format!("{listen} can be reached from other machines, and there is no access control yet"),
        "whoever reads checkpoints reads the memory of processes: listen on 127.0.0.1, or say --insecure",
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combined(args: ServeArgs, file: &str) -> anyhow::Result<ServeConfig> {
        combine(args, file.parse().unwrap())
    }

    #[test]
    fn flag_before_file_before_default() {
        let file = "listen = '127.0.0.1:6000'\ndata = '/file'\nlog = 'debug'\nreserve = '2GiB'\notlp = 'http://a'";
        let args = ServeArgs { data: Some("/flag".into()), ..ServeArgs::default() };
        let config = combined(args, file).unwrap();
        assert_eq!(config.server.data, Path::new("/flag"));
        assert_eq!(config.server.listen.port(), 6000);
        assert_eq!(config.server.reserve.0, 2 << 30);
        assert_eq!((config.log.as_str(), config.log_json), ("debug", false));
        assert_eq!(config.otlp.as_deref(), Some("http://a"));
        let args = ServeArgs { otlp: Some(String::new()), ..ServeArgs::default() };
        assert_eq!(combined(args, file).unwrap().otlp, None);
        let config = combined(ServeArgs::default(), "").unwrap();
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:5000");
        assert!(config.server.data.is_absolute());
    }

    #[test]
    fn unknown_keys_are_errors() {
        let error = combined(ServeArgs::default(), "lisen = '127.0.0.1:6000'").unwrap_err();
        assert!(error.to_string().contains("lisen"), "{error}");
        assert!(combined(ServeArgs::default(), "insecure = 'yes'").is_err());
    }

    #[test]
    fn beyond_loopback_only_when_told() {
        let file = "listen = '0.0.0.0:5000'";
        assert!(combined(ServeArgs::default(), file).is_err());
        assert!(combined(ServeArgs::default(), "listen = '[::]:5000'").is_err());
        assert!(combined(ServeArgs::default(), &format!("{file}\ninsecure = true")).is_ok());
        let args = || ServeArgs { insecure: Some(false), ..ServeArgs::default() };
        assert!(combined(args(), &format!("{file}\ninsecure = true")).is_err());
        assert!(combined(args(), "listen = '[::1]:5000'").is_ok());
    }
}
