// SPDX-License-Identifier: GPL-3.0-or-later
//! What only a script inside Blender tells: whether it draws, and whether it may be online.

use std::time::{Duration, Instant};

use anyhow::Result;
use blendwire_client::{Options, Outcome, Script};

use super::context::{Context, wait};
use super::finding::Finding;
use super::{network, system};
use crate::printer;

/// A scene that takes longer to draw is no fault; less than a patient check may take.
const DRAWN_WITHIN: Duration = Duration::from_secs(7);

/// Why it matters whether a picture comes.
const PICTURES: &str = "an assistant that sees nothing of the scene works blindly";

/// What is seen where nothing inside Blender can be asked.
pub(super) const NOT_ASKED: &str = "not asked: the server's host is no Blender";

/// A core that another program than Blender has loaded.
pub(super) fn is_other_host(context: &Context) -> bool {
    context.status().is_some_and(|status| status.versions.blender.is_empty())
}

/// An idle Blender needs milliseconds, but a picture that takes its time may be before it.
pub(super) const TOLD_WITHIN: Duration = Duration::from_secs(9);

/// Blender 4.2 has it first.
const ONLINE: &str = "import bpy\nresult = getattr(bpy.app, 'online_access', None)";

pub(super) fn online_access(context: &Context) -> Finding {
    if is_other_host(context) {
        return Finding::ok(NOT_ASKED);
    }
    let is_for_others = context.status().is_some_and(|status| status.access.beyond_this_machine);
    match run(context, ONLINE, TOLD_WITHIN) {
        Ok(Outcome::Finished { result, .. }) => match result.get() {
            "true" => Finding::ok("Blender allows online access"),
            "null" => Finding::ok("this Blender is older than that setting"),
            _ if is_for_others => offline(),
            _ => Finding::ok(
                "Blender is set to stay offline; the server listens for this machine alone, which needs no more",
            ),
        },
        Ok(Outcome::Failed { message, .. }) => not_told(message.trim_end().lines().last().unwrap_or_default()),
        Err(error) => not_told(&format!("{error:#}")),
    }
}

fn offline() -> Finding {
    Finding::warning(
        "Blender is set to stay offline, and the server listens for other machines",
        "it went on when that was switched off, and at its next start it refuses to listen there",
    )
    .remedy("in Blender: Edit > Preferences > System > Network, switch on Allow Online Access")
    .remedy("blender --online-mode: allows it for one run, where no window is")
    .remedy("where other machines are not to connect: in the add-on's preferences set the address to localhost")
}

fn not_told(why: &str) -> Finding {
    Finding::warning(
        format!("Blender did not say: {}", printer::one_line(why)),
        "without online access a server refuses to listen for other machines",
    )
    .remedy("in Blender: Edit > Preferences > System > Network, look at Allow Online Access")
}

pub(super) fn screenshot(context: &Context) -> Finding {
    if is_other_host(context) {
        return Finding::ok(NOT_ASKED);
    }
    if context.status().is_some_and(|status| status.background) {
        return without_window(context);
    }
    let since = Instant::now();
    let asked = blendwire_mcp::glance().map_err(anyhow::Error::from);
    match asked.and_then(|script| run(context, &script, DRAWN_WITHIN)) {
        Ok(Outcome::Finished { result, .. }) => match blendwire_mcp::glanced(result) {
            Ok(caption) => {
                let took = since.elapsed().as_secs_f64() * 1000.0;
                Finding::ok(printer::one_line(&format!("{caption}, after {took:.0} ms")))
            }
            Err(why) => no_picture(&why),
        },
        Ok(Outcome::Failed { code: Some(code), .. }) if code == "timeout" => Finding::warning(
            format!("no picture within {} s", DRAWN_WITHIN.as_secs()),
            "a scene that takes long to draw holds up every tool that looks at it",
        )
        .remedy("try again: the first picture after a large file was opened takes longest")
        .remedy("in Blender hide what is heavy, or switch on Simplify (Render Properties)"),
        Ok(Outcome::Failed { message, .. }) => no_picture(message.trim_end().lines().last().unwrap_or_default()),
        Err(error) => no_picture(&format!("{error:#}")),
    }
}

/// A picture would be rendered there: of a large scene that takes long, and nothing ends it. So it is only asked whether one
/// could be.
fn without_window(context: &Context) -> Finding {
    match run(context, "from blendwire import why_not_drawn\nresult = why_not_drawn()", TOLD_WITHIN) {
        Ok(Outcome::Finished { result, .. }) => match serde_json::from_str::<String>(result.get()).as_deref() {
            Ok("") => {
                Finding::ok("could be rendered: this Blender has no window, but its machine has a graphics driver")
            }
            Ok(why) => Finding::warning(printer::one_line(why), PICTURES)
                .remedy(driver(context))
                .remedy("then restart Blender"),
            Err(error) => no_picture(&error.to_string()),
        },
        Ok(Outcome::Failed { message, .. }) => no_picture(message.trim_end().lines().last().unwrap_or_default()),
        Err(error) => no_picture(&format!("{error:#}")),
    }
}

fn driver(context: &Context) -> String {
    if network::is_here(context) {
        return system::mesa().to_owned();
    }
    "on Blender's machine install Mesa's EGL and its drivers; on Debian and Ubuntu: sudo apt-get install libegl-mesa0 \
     libgl1-mesa-dri"
        .to_owned()
}

fn no_picture(why: &str) -> Finding {
    Finding::failure(format!("no picture came: {}", printer::one_line(why)), PICTURES)
        .remedy("restart Blender: a temporary folder that was removed, or a graphics driver that failed, stays so until then")
        .remedy("update the driver of the graphics card; in Blender Help > Report a Bug shows which one it uses")
}

/// Runs what changes nothing.
pub(super) fn run(context: &Context, code: &str, within: Duration) -> Result<Outcome> {
    let options =
        Options { timeout: Some(within), title: Some("blendwire doctor"), no_undo_step: true, ..Options::default() };
    let script = Script::new(code).with_options(options);
    let blender = context.blender()?;
    Ok(wait(async { blender.run(&script).await })??)
}
