//! Rendering tenants' templates, which happens outside this process.

use async_trait::async_trait;
use billwire_schemas::{
    ids::TenantId,
    template::{RenderError, Rendered, Rendering},
};

use crate::App;

/// Where templates are rendered; `server` has it over processes that may end at any time.
#[async_trait]
pub trait Renderer: Send + Sync + 'static {
    /// What a template of `tenant` becomes, or why it never becomes anything: a fault of its own, or a bound of memory, stack or time.
    ///
    /// # Errors
    /// Text for people: it could not be tried; later it may be.
    async fn render(&self, tenant: &TenantId, rendering: Rendering) -> Result<Result<Rendered, RenderError>, String>;
}

impl App {
    /// Renders a template of `tenant`.
    ///
    /// # Errors
    /// As [`Renderer::render`]; this process may have no renderer.
    pub async fn render(&self, tenant: &TenantId, rendering: Rendering) -> Result<Result<Rendered, RenderError>, String> {
        let renderer = self.renderer.as_ref().ok_or("templates cannot be rendered from here")?;
        renderer.render(tenant, rendering).await
    }
}
