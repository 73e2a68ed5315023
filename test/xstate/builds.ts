/**
 * XState has two builds, chosen by the conditions of the process; what is said of one is tried in a process of its own.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** The builds of XState. Plain Node runs `production`. */
export const BUILDS = ['production', 'development'] as const
/** A build of XState. */
export type Build = (typeof BUILDS)[number]

const run = promisify(execFile)
const conditions: Readonly<Record<Build, readonly string[]>> = {
  production: [],
  development: ['--conditions=development'],
}

/** How a process ended. */
export type Ended = Readonly<{ code: number; stdout: string; stderr: string }>

/** Runs a file of this folder in a process of its own. */
export const runFile = async (build: Build, file: string, ...argv: readonly string[]): Promise<Ended> => {
  const path = fileURLToPath(new URL(file, import.meta.url))
  try {
    const { stdout, stderr } = await run(process.execPath, [...conditions[build], path, ...argv], {
      env: { PATH: process.env['PATH'] ?? '' },
    })
    return { code: 0, stdout, stderr }
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as Partial<Ended>
    return { code: typeof code === 'number' ? code : -1, stdout, stderr }
  }
}

/** What a file of pins found: each sentence with what went wrong, or null. */
export const runPins = async (
  build: Build,
  file: string,
): Promise<Readonly<Record<string, string | null>>> => {
  const { stdout, stderr } = await runFile(build, file)
  const last = stdout.trimEnd().split('\n').at(-1) ?? ''
  if (!last.startsWith('{')) throw new Error(`${file} found nothing: ${stderr}`)
  return JSON.parse(last) as Record<string, string | null>
}
