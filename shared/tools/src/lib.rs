//! The tools that agents may use.
//!
//! File tools over a workspace in memory: nothing here touches a disk or a network, so that a step that is taken up again
//! gets where it was by applying its journaled calls once more.

mod workspace;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use convoke_app::flow::tools::Scope;
use convoke_app::flow::{ToolKit, job_compiler};
use convoke_app::platform::Compile;
use convoke_app::script::Toolbox;

pub use workspace::Workspace;

/// The tools of this crate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tools;

impl ToolKit for Tools {
    fn open(&self, visible: BTreeMap<String, Bytes>, own: &[String], scope: Scope) -> Box<dyn Toolbox> {
        Box::new(Workspace::new(visible, scope).with_own(own))
    }
}

/// Compiles jobs' flows into scripts with these tools.
pub fn compiler() -> Compile {
    job_compiler(Arc::new(Tools))
}
