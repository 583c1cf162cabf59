// SPDX-License-Identifier: GPL-3.0-or-later
// Hands every request on to a server that wants a token, with the token: the conformance suite cannot be given one.
// with_token.mjs URL TOKEN prints the port that it listens on.
import http from "node:http";

const [, , url, token] = process.argv;
const onwards = (request, response) => {
  const headers = { ...request.headers, authorization: `Bearer ${token}` };
  const onward = http.request(url, { method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    // Events must not wait for the first bytes of a body.
    response.flushHeaders();
    answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  response.on("close", () => onward.destroy());
  request.pipe(onward);
};
const server = http.createServer(onwards);
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
