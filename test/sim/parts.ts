/**
 * Work in several processes: each runs the same file with its part, and sends back what it found.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** Runs `url` once for each part; resolves with what each found, in the order of the parts. */
export const inParts = <Part, Found>(url: string, parts: readonly Part[]): Promise<readonly Found[]> =>
  Promise.all(
    parts.map(async (part) => {
      const child = fork(fileURLToPath(url), [JSON.stringify(part)])
      const ended = once(child, 'exit').then(([code]) => {
        throw new Error(`a process of the simulator ended with ${String(code)} before it had answered`)
      })
      const [found] = (await Promise.race([once(child, 'message'), ended])) as [Found]
      ended.catch(() => {})
      return found
    }),
  )

/** Where this file is the program of a process made by `inParts`: does its part and sends what it finds. */
export const doPart = async <Part, Found>(
  url: string,
  act: (part: Part) => Promise<Found>,
): Promise<void> => {
  if (process.argv[1] !== fileURLToPath(url) || process.send === undefined) return
  const found = await act(JSON.parse(process.argv[2] as string) as Part)
  process.send(found, () => process.disconnect())
}
