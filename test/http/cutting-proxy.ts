/** A socket between client and server that cuts every connection after some bytes, wherever that is, until it has cut enough. */
import { connect, createServer } from 'node:net'
import { onTestFinished } from 'vitest'

/** Listens at `path` for `target`. `bytesOf` says after how many bytes of an answer the next connection is cut. */
export const cuttingProxy = async (path: string, target: string, cutsMax: number, bytesOf: () => number) => {
  let cuts = 0
  const server = createServer((near) => {
    const far = connect(target)
    let left = cuts < cutsMax ? bytesOf() : Number.POSITIVE_INFINITY
    const over = () => {
      near.destroy()
      far.destroy()
    }
    for (const socket of [near, far]) socket.on('error', over).on('close', over)
    near.pipe(far)
    far.on('data', (bytes: Buffer) => {
      if (bytes.length < left) {
        left -= bytes.length
        near.write(bytes)
        return
      }
      cuts += 1
      near.end(bytes.subarray(0, left))
      far.destroy()
      left = Number.POSITIVE_INFINITY
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  onTestFinished(() => {
    server.close()
  })
  return { cuts: () => cuts }
}
