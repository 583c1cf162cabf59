// SPDX-License-Identifier: GPL-3.0-or-later
//! Link arguments of a Python extension module, which macOS needs.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
