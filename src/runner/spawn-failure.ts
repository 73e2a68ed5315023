/**
 * Why a program could not be started, and whether it may be tried again.
 */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Spec } from '../attempt.ts'
import { codeOf } from '../thrown.ts'

/** What ran out, not what the job did. */
const TRANSIENT = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM'])

/** Whether the machine had run out of something: the attempt may be tried again freely. */
export const isTransient = (error: unknown): boolean => TRANSIENT.has(codeOf(error) ?? '')

/** Why, for people. Node says ENOENT for a missing program, a missing folder and a missing interpreter alike. */
export const spawnFailure = (spec: Pick<Spec, 'argv' | 'cwd'>, error: Error): string => {
  const program = spec.argv[0] as string
  const code = codeOf(error)
  const folder = statSync(spec.cwd, { throwIfNoEntry: false })
  if (folder === undefined) return `the folder ${spec.cwd} does not exist`
  if (!folder.isDirectory()) return `${spec.cwd} is no folder`
  if (
    code === 'ENOENT' &&
    program.includes('/') &&
    statSync(resolve(spec.cwd, program), { throwIfNoEntry: false })
  ) {
    return `${program} names an interpreter that does not exist`
  }
  if (code === 'ENOENT') return `the program ${program} was not found`
  if (code === 'EACCES') return `${program} may not be executed, or ${spec.cwd} may not be entered`
  return `${program} could not be started: ${error.message}`
}
