/**
 * Why a program could not be started, and whether it may be tried again.
 */
import { type Stats, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Spec } from '../attempt.ts'
import { codeOf } from '../thrown.ts'

/** What ran out, not what the job did. */
const TRANSIENT = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM'])

/** Whether the machine had run out of something: the attempt may be tried again freely. */
export const isTransient = (error: unknown): boolean => TRANSIENT.has(codeOf(error) ?? '')

/** Why, for people. Node says ENOENT for a missing program, a missing folder and a missing interpreter alike. Throws nothing. */
export const spawnFailure = (spec: Pick<Spec, 'argv' | 'cwd'>, error: Error): string => {
  const program = spec.argv[0] as string
  const code = codeOf(error)
  const folder = lookAt(spec.cwd)
  if (folder === undefined) return `the folder ${spec.cwd} does not exist`
  if (folder instanceof Error) return `the folder ${spec.cwd} cannot be reached: ${folder.message}`
  if (!folder.isDirectory()) return `${spec.cwd} is no folder`
  if (code === 'ENOENT' && program.includes('/') && lookAt(resolve(spec.cwd, program)) !== undefined)
    return `${program} names an interpreter that does not exist`
  if (code === 'ENOENT') return `the program ${program} was not found`
  if (code === 'EACCES') return `${program} may not be executed, or ${spec.cwd} may not be entered`
  return `${program} could not be started: ${error.message}`
}

/** What is at a path; undefined when nothing is, and why where that cannot be seen: no right, a loop of links, a name that is none. */
const lookAt = (path: string): Stats | Error | undefined => {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    return error as Error
  }
}
