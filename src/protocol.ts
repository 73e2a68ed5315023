/**
 * What daemon and runner say to each other on the runner's socket, a line of JSON each. The messages are hints about the files of the
 * attempts, which are the truth.
 */
import {
  type ExitRecord,
  type Found,
  isExitRecord,
  isLimits,
  isOptionalNumber,
  type LiveAttempt,
  parseAttemptKey,
  RUNNER_LIMITS,
  type RunnerLimit,
  type Spec,
  type StopOrder,
} from './attempt.ts'
import { isNumber, isObject, isString, type JsonRecord, readObject } from './json.ts'

/** The version of what is said. */
export const PROTOCOL_VERSION = 1

/** What the daemon says. The first line is `hello`. */
export type ToRunner =
  | Readonly<{ type: 'hello'; v: number; epoch: number; build: string }>
  | Readonly<{ type: 'ensure'; spec: Spec }>
  | Readonly<{ type: 'stop'; order: StopOrder }>
  | Readonly<{ type: 'sweep'; prefix: string }>
  | Readonly<{ type: 'live'; id: number }>

/** What the runner says. After `refused` it hangs up. */
export type FromRunner =
  | Readonly<{ type: 'welcome'; v: number; pid: number; build: string }>
  | Readonly<{
      type: 'refused'
      why: 'epoch' | 'protocol'
      message: string
      /** What the runner speaks, and its build. */
      v?: number
      build?: string
    }>
  /** It stops the attempt by itself. Said when that begins, and again whenever the attempt is ensured before its end. */
  | Readonly<{ type: 'stopping'; key: string; why: RunnerLimit }>
  | Readonly<{ type: 'ended'; record: ExitRecord }>
  /** Its process has lived for a second. Said once, and again when it is ensured as one of which that is not known. */
  | Readonly<{ type: 'begun'; key: string; pid: number }>
  /** Said of an attempt that was asked for as `recovered`, before its end. `pid` is null when it could not be started. */
  | Readonly<{ type: 'found'; key: string; how: Found; pid: number | null }>
  | Readonly<{ type: 'swept'; prefix: string; leftovers: number }>
  | Readonly<{ type: 'live'; id: number; attempts: readonly LiveAttempt[] }>

/** Reads one line of the runner; undefined when it is not one this version knows. */
export const readFromRunner = (line: string): FromRunner | undefined =>
  readObject(line, (message) => {
    switch (message['type']) {
      case 'welcome':
        return isNumber(message['v']) && isNumber(message['pid']) && isString(message['build'])
          ? (message as FromRunner)
          : undefined
      case 'refused':
        return isString(message['message']) &&
          isString(message['why']) &&
          isOptionalNumber(message['v']) &&
          (message['build'] === undefined || isString(message['build']))
          ? (message as FromRunner)
          : undefined
      case 'stopping':
        return isString(message['key']) && isRunnerLimit(message['why']) ? (message as FromRunner) : undefined
      case 'ended':
        return isExitRecord(message['record']) ? (message as FromRunner) : undefined
      case 'begun':
        return isString(message['key']) && isNumber(message['pid']) ? (message as FromRunner) : undefined
      case 'found':
        return isString(message['key']) &&
          (message['how'] === 'adopted' || message['how'] === 'requeued') &&
          (message['pid'] === null || isNumber(message['pid']))
          ? (message as FromRunner)
          : undefined
      case 'swept':
        return isString(message['prefix']) ? (message as FromRunner) : undefined
      case 'live':
        return isNumber(message['id']) && Array.isArray(message['attempts'])
          ? (message as FromRunner)
          : undefined
      default:
        return undefined
    }
  })

/** Reads one line of the daemon; undefined when it is not one this version knows. */
export const readToRunner = (line: string): ToRunner | undefined =>
  readObject(line, (message) => {
    switch (message['type']) {
      case 'hello':
        return isNumber(message['v']) && isNumber(message['epoch']) && isString(message['build'])
          ? (message as ToRunner)
          : undefined
      case 'ensure':
        return isSpec(message['spec']) ? (message as ToRunner) : undefined
      case 'stop': {
        const order = message['order']
        return isRef(order) && isNumber(order['graceMs']) && isString(order['why'])
          ? (message as ToRunner)
          : undefined
      }
      case 'sweep':
        // An empty prefix would name the processes of every home.
        return isString(message['prefix']) && /^[^/]+\/[^/]+\/$/.test(message['prefix'])
          ? (message as ToRunner)
          : undefined
      case 'live':
        return isNumber(message['id']) ? (message as ToRunner) : undefined
      default:
        return undefined
    }
  })

const isRunnerLimit = (value: unknown): boolean => (RUNNER_LIMITS as readonly unknown[]).includes(value)
const isRef = (value: unknown): value is JsonRecord =>
  isObject(value) &&
  isString(value['key']) &&
  parseAttemptKey(value['key']) !== undefined &&
  isString(value['plan']) &&
  isString(value['job']) &&
  isNumber(value['attempt']) &&
  isNumber(value['generation']) &&
  isString(value['dir'])

const isSpec = (value: unknown): boolean =>
  isRef(value) &&
  isLimits(value) &&
  Array.isArray(value['argv']) &&
  value['argv'].length > 0 &&
  value['argv'].every(isString) &&
  isString(value['cwd']) &&
  isObject(value['env']) &&
  Object.values(value['env']).every(isString)
