//! Retention policies as people write them: YAML, of which JSON is a part.

use std::path::{Path, PathBuf};

use pagevault_api::retention::{InvalidRetention, RetentionConfig};

/// Why a file of policies cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PoliciesError {
    /// It cannot be read.
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] std::io::Error),
    /// It is no YAML, or says what is not known.
    #[error("{0}: {1}")]
    Yaml(PathBuf, String),
    /// It says what makes no sense.
    #[error("{0}: {1}")]
    Invalid(PathBuf, #[source] InvalidRetention),
}

/// Reads and checks a file of policies and quotas.
pub fn read_policies(path: &Path) -> Result<RetentionConfig, PoliciesError> {
    let text = std::fs::read_to_string(path).map_err(|e| PoliciesError::Io(path.to_owned(), e))?;
    let config = from_yaml(&text).map_err(|what| PoliciesError::Yaml(path.to_owned(), what))?;
    config.check().map_err(|e| PoliciesError::Invalid(path.to_owned(), e))?;
    Ok(config)
}

/// Reads YAML. What cannot be read is said in one line, with its place.
pub(crate) fn from_yaml(text: &str) -> Result<RetentionConfig, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    let read: Result<Option<RetentionConfig>, _> =
        serde_saphyr::from_str_with_options(text, options);
    // A file of nothing but comments says nothing.
    read.map(Option::unwrap_or_default).map_err(|error| error.to_string())
}

/// Writes YAML.
pub(crate) fn to_yaml(config: &RetentionConfig) -> Result<String, String> {
    serde_saphyr::to_string(config).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../deploy/retention.yaml");

    #[test]
    fn the_example_means_something_and_survives_writing() {
        let config = from_yaml(EXAMPLE).unwrap();
        config.check().unwrap();
        assert_eq!((config.policies.len(), config.quotas.len()), (3, 1));
        assert_eq!(config.policies[1].max_logical_size, Some(200 << 30));
        let again = from_yaml(&to_yaml(&config).unwrap()).unwrap();
        assert_eq!(again, config);
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(from_yaml(&json).unwrap(), config);
    }

    #[test]
    fn nothing_is_nothing_and_what_is_wrong_is_told_with_its_place() {
        for text in ["", "# nothing yet\n", "{}", "policies: []\n"] {
            assert_eq!(from_yaml(text).unwrap(), RetentionConfig::default(), "{text:?}");
        }
        for (text, what) in [
            ("policies:\n- keepLast: many\n", "line 2"),
            ("policies:\n- keepLsat: 2\n", "keepLsat"),
            ("policies:\n- keepLast: 2\n  keepLast: 3\n", "duplicate"),
            ("- keepLast: 2\n", "line 1"),
            ("policies: [\n", "line"),
        ] {
            let error = from_yaml(text).unwrap_err();
            assert!(error.contains(what), "{text:?}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        // Aliases that multiply do not.
        let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (of, from) in ["b", "c", "d", "e", "f", "g", "h", "i"].iter().zip("abcdefgh".chars()) {
            let ten = [format!("*{from}").as_str()].repeat(10).join(",");
            bomb.push_str(&format!("{of}: &{of} [{ten}]\n"));
        }
        assert!(from_yaml(&bomb).is_err());
    }
}
