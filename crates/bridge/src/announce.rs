// SPDX-License-Identifier: GPL-3.0-or-later
//! Makes a server known to the clients of its user, who then need not be told its port.

use blendwire_protocol::Instance;
use blendwire_state::{Announced, STATE_DIR, machine};
use jiff::Timestamp;

use crate::server::Shared;

/// Writes the descriptor of a server that listens, and removes those of servers that were killed. A server that cannot
/// be announced serves all the same, which the log tells.
pub(crate) fn announce(shared: &Shared) -> Option<Announced> {
    let instances = shared.config.instances.as_ref()?;
    let swept = instances.sweep();
    if swept > 0 {
        log::info!("removed what {swept} killed or crashed servers had left in {}", instances.path().display());
    }
    let announced = instances.announce(&descriptor(shared));
    announced
        .inspect_err(|error| {
            log::warn!(
                "clients cannot find this server by themselves, because {} cannot be written: {error}. It serves all the \
                 same: give them its port with --port or BLENDWIRE_PORT; or mend that, or name another folder with \
                 {STATE_DIR}, and start the server again",
                instances.path().display()
            );
        })
        .ok()
}

fn descriptor(shared: &Shared) -> Instance {
    Instance {
        instance: shared.instance.clone(),
        pid: std::process::id(),
        machine: machine(),
        endpoints: shared.endpoint_names(),
        background: shared.config.background,
        versions: shared.config.versions.clone(),
        started: Timestamp::now().as_second(),
    }
}
