//! Rendering of tenants' templates, outside this process.

use async_trait::async_trait;
use billwire_schemas::{
    ids::TenantId,
    template::{RenderError, Rendered, Rendering},
};

use crate::App;

/// Renders templates; `server` implements it with disposable processes.
#[async_trait]
pub trait Renderer: Send + Sync + 'static {
    /// Renders a template of `tenant`. The inner error is permanent: a template error, or a limit of memory, stack or time.
    ///
    /// # Errors
    /// A message if rendering could not be attempted; a retry may succeed.
    async fn render(&self, tenant: &TenantId, rendering: Rendering) -> Result<Result<Rendered, RenderError>, String>;
}

impl App {
    /// Renders a template of `tenant`.
    ///
    /// # Errors
    /// See [`Renderer::render`]; also if this process has no renderer.
    pub async fn render(&self, tenant: &TenantId, rendering: Rendering) -> Result<Result<Rendered, RenderError>, String> {
        let renderer = self.renderer.as_ref().ok_or("this process has no template renderer")?;
        renderer.render(tenant, rendering).await
    }
}
