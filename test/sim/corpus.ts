/**
 * Seeds that went wrong once, and why. They are lived through before all others. A seed means what it meant only while what is drawn
 * from it stays the same; what it has found stays here as a reason to look there again.
 */

/** One seed that went wrong. */
export type Past = Readonly<{ seed: number; sweep: boolean; why: string }>

/** Every seed that went wrong, the oldest first. */
export const corpus: readonly Past[] = [
  {
    seed: 47,
    sweep: false,
    why: 'no room for a claim was recorded as never-started, and the attempt was started when it was asked for again',
  },
  { seed: 220, sweep: false, why: 'the same, by way of two crashes' },
  { seed: 28, sweep: true, why: 'the same, and the runner was killed while the attempt ran' },
  {
    seed: 556,
    sweep: true,
    why: 'a lost `reopened` was repaired as an end that was not told: the retry was forgotten',
  },
  {
    seed: 573,
    sweep: true,
    why: 'a sweep whose repairs could not be committed never answered, and none came after it',
  },
  { seed: 816, sweep: true, why: "a job that was not told of its need's end was found by nobody" },
  { seed: 1173, sweep: true, why: 'nor was a job that was not told of its release' },
  { seed: 1739, sweep: true, why: 'nor one that was not told of the cancel of its plan' },
  {
    seed: 2503,
    sweep: false,
    why: 'two runners adopted one attempt; what the second told was not what stood on record',
  },
  {
    seed: 2793,
    sweep: true,
    why: 'an end that a full disk had not taken was called wrong for what its successor recorded',
  },
  { seed: 3283, sweep: true, why: 'a plan whose first message was lost was begun by nobody' },
  { seed: 724, sweep: false, why: 'the auditor called a `more` that its plan had overtaken a defect' },
  {
    seed: 40968,
    sweep: true,
    why: 'an end on record for long, of a plan that was taken up only now, was called unread by the sweep',
  },
  {
    seed: 4213,
    sweep: false,
    why: 'a retry that its job could not take was a dead letter, and the plan waited for the end of what never began',
  },
  {
    seed: 1879,
    sweep: false,
    why: 'an attempt that was asked for with its end, and whose folder was removed with its plan meanwhile, ran again',
  },
  {
    seed: 287,
    sweep: false,
    why: 'a removal that was begun, and not seen to be, was gone on with by the next process only',
  },
  {
    seed: 4121,
    sweep: false,
    why: 'a plan was removed while an order about an attempt of it, whose end was told, was on its way to its folder',
  },
  {
    seed: 21005,
    sweep: true,
    why: 'a plan that was about to be set aside was removed, and the row that said so stayed',
  },
  { seed: 76, sweep: false, why: 'what was asked of a removed plan left a row of it' },
]
