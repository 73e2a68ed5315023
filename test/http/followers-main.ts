/**
 * A process with many clients that follow all events after a position, over TCP. Says `{open}` when all of them are answered; told a
 * position, says `{wrong}` when all have come so far: who was sent anything but every event once and in order.
 */
import { request } from 'node:http'
import { frames } from '../../src/http/sse.ts'

const [port, token, count, after] = process.argv.slice(2)
const first = Number(after)
const stands = Array.from({ length: Number(count) }, () => first)
const wrong = new Set<string>()
let asked = Number.POSITIVE_INFINITY
const judge = (): void => {
  if (!stands.every((position) => position >= asked)) return
  asked = Number.POSITIVE_INFINITY
  process.send?.({ wrong: [...wrong] })
}
process.on('message', ({ until }: { until: number }) => {
  asked = until
  judge()
})

const read = async (client: number, pieces: AsyncIterable<string>): Promise<void> => {
  for await (const { id, event } of frames(pieces)) {
    const next = (stands[client] ?? 0) + 1
    if (Number(id) !== next || event !== undefined)
      wrong.add(`client ${client}: ${event ?? ''} ${id} instead of ${next}`)
    stands[client] = next
    if (next === asked) judge()
  }
}

let open = 0
const follow = (client: number): void => {
  const sent = request({
    port: Number(port),
    host: '127.0.0.1',
    path: `/api/v1/events?after=${after}`,
    agent: false,
    headers: { authorization: `Bearer ${token}` },
  })
  sent.on('response', (answer) => {
    open += 1
    if (open === stands.length) process.send?.({ open })
    answer.setEncoding('utf8')
    // It breaks when the test has ended.
    read(client, answer as AsyncIterable<string>).catch(() => {})
  })
  sent.on('error', (error) => wrong.add(`client ${client}: ${error.message}`))
  sent.end()
}
for (let client = 0; client < stands.length; client += 1) follow(client)
process.on('disconnect', () => process.exit())
