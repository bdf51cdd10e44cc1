//! What the server says of itself in `/api/v1/openapi.json`, held against what it answers.

use axum::body::Body;
use serde_json::Value;

use crate::support::{Answer, Server};

/// The description of a server.
pub(crate) struct Contract(Value);

impl Contract {
    pub(crate) async fn of(server: &Server) -> Self {
        Self(server.get("/api/v1/openapi.json").await.expect(200).json())
    }

    /// Every method of every path.
    pub(crate) fn operations(&self) -> Vec<(String, String)> {
        let paths = self.0["paths"].as_object().unwrap();
        let methods = |(path, item): (&String, &Value)| {
            let methods = ["get", "put", "post", "delete", "patch"].into_iter();
            let there = methods.filter(|method| item.get(method).is_some());
            there.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
        };
        paths.iter().flat_map(methods).collect()
    }

    /// Asks, and holds the answer against the description.
    pub(crate) async fn ask(&self, server: &Server, line: &str, body: Value) -> Answer {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let answer = server.ask(line, &[], body).await;
        self.check(line, &answer);
        answer
    }

    pub(crate) async fn get(&self, server: &Server, path: &str) -> Value {
        self.ask(server, &format!("GET {path}"), Value::Null).await.expect(200).json()
    }

    fn check(&self, line: &str, answer: &Answer) {
        let (method, path) = line.split_once(' ').unwrap();
        let path = path.split('?').next().unwrap().strip_prefix("/api/v1").unwrap();
        let operation = self.operation(method, path);
        let status = answer.status.as_str();
        let responses = &operation["responses"];
        let response = responses.get(status).unwrap_or(&responses["default"]);
        let Some(content) = response.get("content").and_then(Value::as_object) else {
            assert!(answer.status.is_success() && answer.body.is_empty(), "{line}: {status}");
            return;
        };
        let kind = answer.header("content-type");
        let schema = content.get(kind).unwrap_or_else(|| panic!("{line}: {status} {kind}"));
        let mut schema = schema["schema"].clone();
        schema["components"] = self.0["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<_> = validator.iter_errors(&answer.json()).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{line}: {errors:?}");
    }

    fn operation(&self, method: &str, path: &str) -> &Value {
        let segments = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        let fits = |pattern: &str| {
            let (pattern, path) = (segments(pattern), segments(path));
            let equal = |(p, s): (&String, &String)| p == s || p.starts_with('{');
            pattern.len() == path.len() && pattern.iter().zip(&path).all(equal)
        };
        let paths = self.0["paths"].as_object().unwrap();
        let exact = paths.get(path);
        let item = exact.or_else(|| paths.iter().find(|(p, _)| fits(p)).map(|(_, item)| item));
        let method = method.to_lowercase();
        let operation = item.and_then(|item| item.get(&method));
        operation.unwrap_or_else(|| panic!("{method} {path} is not described"))
    }
}

#[tokio::test]
async fn every_operation_that_is_described_is_served() {
    let server = Server::start().await;
    let contract = Contract::of(&server).await;
    let operations = contract.operations();
    assert!(operations.len() >= 25, "{operations:?}");
    for (method, path) in operations {
        if path == "/events" {
            continue;
        }
        let path = path.replace("{reference}", "a%2Fb:c").replace("{id}", "0");
        let answer = server.ask(&format!("{method} /api/v1{path}"), &[], "{}").await;
        assert_ne!(answer.status.as_u16(), 405, "{method} {path}");
        if answer.status.as_u16() == 404 {
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(!detail.contains("nothing at this path"), "{method} {path}");
        }
        contract.check(&format!("{method} /api/v1{path}"), &answer);
    }
}

#[tokio::test]
async fn pages_of_other_origins_change_nothing() {
    let server = Server::start().await;
    for (method, path) in Contract::of(&server).await.operations() {
        let path = path.replace("{reference}", "a%2Fb:c").replace("{id}", "0");
        let line = format!("{method} /api/v1{path}");
        let rebound = [("host", "evil.example:5000")];
        assert_eq!(server.ask(&line, &rebound, "{}").await.status.as_u16(), 403, "{line}");
        if method != "GET" {
            let foreign = [("host", "localhost:5000"), ("origin", "http://evil.example")];
            assert_eq!(server.ask(&line, &foreign, "{}").await.status.as_u16(), 403, "{line}");
        }
    }
}
