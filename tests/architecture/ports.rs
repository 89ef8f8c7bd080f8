//! Tenants never meet: no function of a port takes an id without a tenant.

use super::tree::sources;

/// Types that say whose something is.
const OF_A_TENANT: [&str; 12] = [
    "&JobKey",
    "&TenantId",
    "&BlobKey",
    "&Submission",
    "&KeyRecord",
    "&[Ring]",
    "&[(JobKey, Reads)]",
    "&[DeliveryRing]",
    "&[RunBell]",
    "&Link,",
    "&LinkCode",
    "&Button",
];

/// The exceptions: the sweep looks at all tenants' jobs, deliveries and schedules; the operator sees the list of tenants; a caller's key, a chat's realm, a code
/// and a button's token tell the tenant; what comes in from a chat is claimed before its tenant is known; a bot's calls, a
/// queue's depth and what lies outside are nobody's.
const OF_NOBODY: [&str; 17] = [
    "Sweeps::due",
    "Sweeps::due_deliveries",
    "Keys::key",
    "Keys::tenants",
    "Schedules::due_schedules",
    "Bells::depth",
    "Outbound::post",
    "Links::drop_link_code",
    "Links::link_code",
    "Links::link",
    "Inbox::button",
    "Inbox::claim_update",
    "Inbox::end_update",
    "Rooms::count_call",
    "Rooms::halt_bot",
    "ChatHost::post",
    "ChatHost::edit",
];

/// A function of a port: `Trait::name`, and its arguments.
struct Function {
    name: String,
    arguments: String,
}

/// The functions of the traits in a text that is formatted as the workspace is, those without arguments of the machine's
/// own (clock, randomness) left out.
fn functions(text: &str) -> Vec<Function> {
    let mut functions = Vec::new();
    let mut port = "";
    let mut rest = text;
    while let Some(line) = rest.lines().next() {
        if let Some(header) = line.strip_prefix("pub trait ") {
            port = header.split([':', ' ']).next().unwrap_or_default();
        } else if line == "}" {
            port = "";
        } else if let Some(signature) = rest.strip_prefix("    async fn ").filter(|_| !port.is_empty()) {
            let end = signature.find(") ->").or_else(|| signature.find(");")).expect("a function's arguments end");
            let (name, arguments) = signature[..end].split_once('(').expect("and begin");
            functions.push(Function { name: format!("{port}::{name}"), arguments: arguments.to_owned() });
        }
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    functions
}

fn is_somebodys(function: &Function) -> bool {
    OF_A_TENANT.iter().any(|of_tenant| function.arguments.contains(of_tenant))
}

#[test]
fn no_port_takes_an_id_without_a_tenant() {
    let sources = sources();
    let ports = sources.iter().filter(|source| source.path.starts_with("shared/app/src/ports/"));
    let functions: Vec<Function> = ports.flat_map(|source| functions(&source.text)).collect();
    assert!(functions.len() >= 20, "{} functions of ports", functions.len());
    let of_nobody: Vec<&str> =
        functions.iter().filter(|function| !is_somebodys(function)).map(|function| function.name.as_str()).collect();
    let mut expected = OF_NOBODY.to_vec();
    expected.sort_unstable();
    let mut found = of_nobody;
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn a_function_of_a_bare_id_is_found() {
    let text = "pub trait Jobs: Send + Sync {\n    /// Reads.\n    async fn job(&self, id: &JobId) -> Result<JobKey, E>;\n\n    \
                async fn list(\n        &self,\n        tenant: &TenantId,\n    ) -> Result<(), E>;\n}\n";
    let functions = functions(text);
    let found: Vec<(&str, bool)> =
        functions.iter().map(|function| (function.name.as_str(), is_somebodys(function))).collect();
    assert_eq!(found, [("Jobs::job", false), ("Jobs::list", true)]);
}
