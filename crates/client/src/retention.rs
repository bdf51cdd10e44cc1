//! Retention: policies and quotas, runs and plans.

use pagevault_api::page::Page;
use pagevault_api::retention::{
    RetentionAction, RetentionConfig, RetentionDecision, RetentionRun, StartRetention,
};
use reqwest::{Response, header};

use crate::{Client, Result};

/// Policies and quotas of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPolicies {
    /// What they say.
    pub config: RetentionConfig,
    /// What names this writing of them, with its quotes.
    pub etag: String,
}

impl Client {
    /// The policies and quotas.
    pub async fn policies(&self) -> Result<ServerPolicies> {
        let url = self.url(["api", "v1", "retention", "policies"]);
        let response = self.send(self.http.get(url)).await?;
        self.read_policies(response).await
    }

    /// Replaces policies and quotas by those of a text in YAML or JSON, if they still have that etag.
    pub async fn put_policies(&self, yaml: String, etag: &str) -> Result<ServerPolicies> {
        let url = self.url(["api", "v1", "retention", "policies"]);
        let request = self
            .http
            .put(url)
            .header(header::CONTENT_TYPE, "application/yaml")
            .header(header::IF_MATCH, etag)
            .body(yaml);
        let response = self.send(request).await?;
        self.read_policies(response).await
    }

    async fn read_policies(&self, response: Response) -> Result<ServerPolicies> {
        let etag = response.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.map(str::to_owned);
        let etag = etag.ok_or_else(|| self.protocol(Some(response.status()), "no ETag"))?;
        Ok(ServerPolicies { config: self.read_json(response).await?, etag })
    }

    /// Starts a run of retention.
    pub async fn start_retention(&self, dry_run: bool) -> Result<RetentionRun> {
        let url = self.url(["api", "v1", "retention", "run"]);
        self.json(self.http.post(url).json(&StartRetention { dry_run })).await
    }

    /// One run of retention.
    pub async fn retention_run(&self, id: u64) -> Result<RetentionRun> {
        let id = id.to_string();
        self.json(self.http.get(self.url(["api", "v1", "retention", "runs", &id]))).await
    }

    /// One page of what the newest run has decided.
    pub async fn retention_plan(
        &self,
        id: u64,
        action: Option<RetentionAction>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<RetentionDecision>> {
        let id = id.to_string();
        let mut query = vec![("limit", limit.to_string())];
        query.extend(action.map(|action| {
            let action = match action {
                RetentionAction::Keep => "keep",
                RetentionAction::Delete => "delete",
            };
            ("action", action.to_owned())
        }));
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        let url = self.url(["api", "v1", "retention", "runs", &id, "plan"]);
        self.json(self.http.get(url).query(&query)).await
    }
}
