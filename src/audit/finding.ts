/**
 * What the auditor finds: what kind of thing it is, where, and what to do about it. A closed list, so that each kind is named once
 * and none comes without a remedy.
 */
import { type Address, parseAddress } from '../address.ts'

/**
 * `note`: nothing is wrong, and somebody should know. `fault`: what must hold does not. `damage`: the file is not as it was written.
 */
export type Grade = 'note' | 'fault' | 'damage'

/** Where it is; only what applies. */
export type FindingPlace = Readonly<{
  plan?: string
  job?: string
  attempt?: number
  /** A position in the journal. */
  position?: number
  pid?: number
  path?: string
}>

/** One thing that was found. */
export type Finding = Readonly<{
  kind: FindingKind
  grade: Grade
  place: FindingPlace
  what: string
  remedy: string
}>

type Kind = Readonly<{ grade: Grade; remedy: string }>

const REPORT =
  'keep a copy of the home and report it: this is a defect of tenuto, or somebody edited the home'
const RESTORE = 'stop the holder, keep a copy of the home, and restore a backup of the journal'

const defect = { grade: 'fault', remedy: REPORT } as const satisfies Kind
const damage = { grade: 'damage', remedy: RESTORE } as const satisfies Kind
const resumes = (remedy: string) => ({ grade: 'note', remedy }) as const satisfies Kind
const stranded = (remedy: string) => ({ grade: 'fault', remedy }) as const satisfies Kind

/** Every kind of finding. */
export const FINDINGS = {
  // The history.
  'early-start': defect,
  'attempt-order': defect,
  'two-attempts': defect,
  'too-many-attempts': defect,
  'end-left': defect,
  'generation-gap': defect,
  'needless-skip': defect,
  'end-told-twice': defect,
  'end-told-wrong': defect,
  'ended-over-actor': defect,
  'plan-ended-early': defect,
  'plan-end-wrong': defect,
  'seq-gap': defect,
  'position-gap': defect,
  'unknown-plan': defect,
  // The rows.
  'row-differs': defect,
  'rows-left': defect,
  'mail-taken': defect,
  'definition-differs': damage,
  'row-damaged': damage,
  'file-damaged': damage,
  // What nobody will take up by itself.
  'end-untold': stranded('`tenuto resume`, then look again; what still stands here is to be reported'),
  'never-released': stranded('`tenuto resume`, then look again; what still stands here is to be reported'),
  'never-settled': stranded('`tenuto resume`, then look again; what still stands here is to be reported'),
  // The attempt folders.
  'exit-missing': defect,
  'exit-differs': defect,
  'exit-unreadable': {
    grade: 'damage',
    remedy: 'nothing reads it any more unless a backup of the journal is restored; keep it for the report',
  },
  'started-against-claim': defect,
  'wrong-key': {
    grade: 'fault',
    remedy: 'the folder was copied or moved here: move it back, or remove it',
  },
  'orphan-folder': {
    grade: 'fault',
    remedy: 'remove it; or, if a backup of the journal was restored, keep it for its log',
  },
  'folders-removed': resumes('nothing to do; the logs of these attempts are gone'),
  // The processes.
  'stray-process': { grade: 'fault', remedy: 'end it: kill the pid, and -KILL it if it stays' },
  'left-behind': resumes('nothing to do; it is ended when its plan ends'),
  // The present, while nobody holds the home.
  'waits-to-be-taken-in': resumes('`tenuto resume` takes it in'),
  'runs-on': resumes('`tenuto resume` goes on with it, `tenuto cancel` stops it'),
  'end-unseen': resumes('`tenuto resume` rules on it'),
} as const satisfies Readonly<Record<string, Kind>>

/** The name of a kind of finding. */
export type FindingKind = keyof typeof FINDINGS

/** Makes a finding; grade and remedy come with its kind. */
export const finding = (kind: FindingKind, place: FindingPlace, what: string): Finding => ({
  kind,
  ...FINDINGS[kind],
  place,
  what,
})

/** The plan, and the job if there is one, that an address names; nothing of a text that is no address. */
export const placeOf = (address: string): FindingPlace => {
  try {
    const place = parseAddress(address as Address)
    return place.kind === 'plan' ? { plan: place.plan } : { plan: place.plan, job: place.job }
  } catch {
    return {}
  }
}

/** Where a finding is, as a person names it: `position 12, p-abc234/build #2`. */
export const placeInWords = ({ plan, job, attempt, position, pid, path }: FindingPlace): string => {
  const ref = plan === undefined ? [] : [`${plan}${job === undefined ? '' : `/${job}`}`]
  const parts = [
    ...(position === undefined ? [] : [`position ${position}`]),
    ...ref.map((each) => (attempt === undefined ? each : `${each} #${attempt}`)),
    ...(pid === undefined ? [] : [`pid ${pid}`]),
    ...(path === undefined ? [] : [path]),
  ]
  return parts.join(', ')
}
