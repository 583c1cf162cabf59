// SPDX-License-Identifier: GPL-3.0-or-later
// Prints the command by which Claude Desktop starts an unpacked bundle, found by the code that it uses itself.
// Arguments: the folder of that code, the bundle's folder, the user's settings as JSON, and `without-defaults` for a
// client that does not know defaults.

import { readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { pathToFileURL } from "node:url";

const [code, bundle, settings, defaults] = process.argv.slice(2);
const { getMcpConfigForManifest } = await import(pathToFileURL(join(code, "index.js")));
const manifest = JSON.parse(readFileSync(join(bundle, "manifest.json"), "utf8"));
if (defaults === "without-defaults") {
    for (const setting of Object.values(manifest.user_config)) delete setting.default;
}
const config = await getMcpConfigForManifest({
    manifest,
    extensionPath: bundle,
    systemDirs: {},
    userConfig: JSON.parse(settings),
    pathSeparator: sep,
});
console.log(JSON.stringify(config));
