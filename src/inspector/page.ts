/**
 * The page of the inspector: every live actor with its state, and the last messages between them. It needs nothing from elsewhere.
 */

const MESSAGES = 200

/** The page, and the policy that keeps it to itself; `nonce` is drawn anew for each. */
export const pageOf = (nonce: string): Readonly<{ text: string; policy: string }> => ({
  policy: `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'`,
  text: `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>tenuto: inspector</title>
<style nonce="${nonce}">
  :root { color-scheme: light dark; font: 14px/1.5 ui-monospace, monospace }
  body { margin: 1.5rem; max-width: 80rem }
  h1, h2 { font-size: 1rem }
  td { padding-right: 2ch; vertical-align: top }
</style>
<h1>Live actors</h1>
<p id="line" role="status">connecting …</p>
<table><tbody id="actors"></tbody></table>
<h2>Messages, newest first</h2>
<table><tbody id="messages"></tbody></table>
<script nonce="${nonce}">
  const at = (id) => document.getElementById(id)
  const row = (cells) => {
    const made = document.createElement('tr')
    for (const cell of cells) made.insertCell().textContent = cell
    return made
  }
  const actors = new Map()
  const show = (id, snapshot) => {
    const known = actors.get(id) ?? at('actors').appendChild(row([id, '']))
    actors.set(id, known)
    known.cells[1].textContent = snapshot?.value === undefined ? '' : String(snapshot.value)
  }
  const socket = new WebSocket(location.href.replace(/^http/, 'ws'))
  socket.onopen = () => { at('line').textContent = 'connected' }
  socket.onclose = () => { at('line').textContent = 'the runtime has gone, or this page did not keep up' }
  socket.onmessage = ({ data }) => {
    const event = JSON.parse(data)
    if (event.type === '@xstate.event') {
      at('messages').prepend(row([(event.sourceId ?? '') + ' → ' + event.sessionId, event.event.type]))
      if (at('messages').rows.length > ${MESSAGES}) at('messages').lastChild.remove()
    } else show(event.sessionId, event.snapshot)
  }
</script>
`,
})
