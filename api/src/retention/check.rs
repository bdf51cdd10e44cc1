//! What is wrong with policies and quotas, though every field can be read.

use std::collections::BTreeSet;
use std::fmt;

use super::{Limits, Policy, Quota, RetentionConfig, Scope};

/// Longest name of a namespace, pod or container, in bytes, as Kubernetes has it.
const NAME_MAX: usize = 253;

/// Why policies are refused: which one, and what of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRetention(String);

impl fmt::Display for InvalidRetention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidRetention {}

impl RetentionConfig {
    /// Whether it means something: scopes are whole and differ, and no number is 0, which some tools
    /// take for "none" and others for "no limit".
    pub fn check(&self) -> Result<(), InvalidRetention> {
        let mut scopes = BTreeSet::new();
        for (n, policy) in self.policies.iter().enumerate() {
            policy.check().map_err(|what| InvalidRetention(format!("policies[{n}]: {what}")))?;
            if !scopes.insert(&policy.scope) {
                let message = format!("policies[{n}]: there is one for {} already", policy.scope);
                return Err(InvalidRetention(message));
            }
        }
        let mut namespaces = BTreeSet::new();
        for (n, quota) in self.quotas.iter().enumerate() {
            quota.check().map_err(|what| InvalidRetention(format!("quotas[{n}]: {what}")))?;
            if !namespaces.insert(&quota.namespace) {
                let message =
                    format!("quotas[{n}]: there is one for namespace {} already", quota.namespace);
                return Err(InvalidRetention(message));
            }
        }
        Ok(())
    }
}

impl Policy {
    fn check(&self) -> Result<(), String> {
        self.scope.check()?;
        let counts = [
            ("keepLast", self.keep_last),
            ("keepHourly", self.keep_hourly),
            ("keepDaily", self.keep_daily),
            ("keepWeekly", self.keep_weekly),
            ("minKeep", self.min_keep),
        ];
        for (name, count) in counts {
            not_zero(name, count.map(u64::from))?;
        }
        not_zero("keepWithin", self.keep_within.map(|period| period.0))?;
        not_zero("maxAge", self.max_age.map(|period| period.0))?;
        not_zero("maxCheckpointSize", self.max_checkpoint_size)?;
        self.whole().check()?;
        for (name, limits) in [
            ("perNamespace", self.per_namespace),
            ("perPod", self.per_pod),
            ("perContainer", self.per_container),
        ] {
            limits.check().map_err(|what| format!("{name}.{what}"))?;
        }
        Ok(())
    }
}

impl Scope {
    fn check(&self) -> Result<(), String> {
        if self.namespace.is_none() && (self.pod.is_some() || self.container.is_some()) {
            return Err("scope: a pod or container is one of a namespace; name that too".to_owned());
        }
        for (field, name) in
            [("namespace", &self.namespace), ("pod", &self.pod), ("container", &self.container)]
        {
            if let Some(name) = name {
                check_name(name).map_err(|what| format!("scope.{field}: {what}"))?;
            }
        }
        Ok(())
    }
}

impl Limits {
    fn check(&self) -> Result<(), String> {
        not_zero("maxCount", self.max_count.map(u64::from))?;
        not_zero("maxLogicalSize", self.max_logical_size)?;
        not_zero("maxStoredSize", self.max_stored_size)
    }
}

impl Quota {
    /// What it limits.
    pub fn limits(&self) -> Limits {
        Limits {
            max_count: self.max_count,
            max_logical_size: self.max_logical_size,
            max_stored_size: self.max_stored_size,
        }
    }

    fn check(&self) -> Result<(), String> {
        check_name(&self.namespace).map_err(|what| format!("namespace: {what}"))?;
        self.limits().check()?;
        match self.limits().is_none() {
            true => Err("it limits nothing".to_owned()),
            false => Ok(()),
        }
    }
}

fn not_zero(field: &str, value: Option<u64>) -> Result<(), String> {
    match value {
        Some(0) => Err(format!("{field} is 0; leave it out where it is not to count")),
        _ => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(format!("a name has 1 to {NAME_MAX} bytes and no control characters"));
    }
    Ok(())
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.namespace, &self.pod, &self.container) {
            (None, ..) => f.write_str("everything"),
            (Some(namespace), None, None) => f.write_str(namespace),
            (Some(namespace), Some(pod), None) => write!(f, "{namespace}/{pod}"),
            (Some(namespace), pod, Some(container)) => {
                write!(f, "{namespace}/{}/{container}", pod.as_deref().unwrap_or("*"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> String {
        let read: Result<RetentionConfig, _> = serde_json::from_str(json);
        match read {
            Ok(config) => config.check().expect_err(json).to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, what) in [
            (r#"{"policies":[{},{}]}"#, "policies[1]: there is one for everything already"),
            (r#"{"policies":[{"scope":{"pod":"a"}}]}"#, "policies[0]: scope: a pod or container"),
            (
                r#"{"policies":[{"scope":{"namespace":""}}]}"#,
                "policies[0]: scope.namespace: a name",
            ),
            (r#"{"policies":[{"keepLast":0}]}"#, "policies[0]: keepLast is 0"),
            (r#"{"policies":[{"maxAge":"0s"}]}"#, "policies[0]: maxAge is 0"),
            (r#"{"policies":[{"perPod":{"maxCount":0}}]}"#, "policies[0]: perPod.maxCount is 0"),
            (r#"{"policies":[{"keepLsat":1}]}"#, "unknown field `keepLsat`"),
            (r#"{"policies":[{"maxAge":"1y"}]}"#, "\"1y\" is not a period"),
            (r#"{"policies":[{"maxLogicalSize":"much"}]}"#, "\"much\" is not a size"),
            (r#"{"quotas":[{"namespace":"a"}]}"#, "quotas[0]: it limits nothing"),
            (r#"{"quotas":[{"maxCount":1}]}"#, "missing field `namespace`"),
            (
                r#"{"quotas":[{"namespace":"a","maxCount":1},{"namespace":"a","maxCount":2}]}"#,
                "quotas[1]: there is one for namespace a already",
            ),
        ] {
            assert!(refused(json).contains(what), "{json}: {}", refused(json));
        }
    }

    #[test]
    fn sizes_are_texts_or_numbers_and_are_written_as_numbers() {
        let json = r#"{"policies":[{"scope":{"namespace":"shop"},"keepWithin":"36h",
            "maxLogicalSize":"10Gi","perPod":{"maxStoredSize":7}}]}"#;
        let config: RetentionConfig = serde_json::from_str(json).expect(json);
        config.check().expect(json);
        assert_eq!(
            serde_json::to_value(&config).expect(json),
            serde_json::json!({"policies": [{
                "scope": {"namespace": "shop"}, "keepWithin": "1d 12h", "retainOrphan": true,
                "maxLogicalSize": 10_737_418_240u64, "perPod": {"maxStoredSize": 7}
            }], "quotas": []})
        );
    }
}
