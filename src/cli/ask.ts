/**
 * Asking a person what nobody else can decide.
 */
import { createInterface } from 'node:readline/promises'
import type { Source } from './home.ts'

const CHOICES = ['retry', 'skip', 'cancel', 'leave'] as const
type Choice = (typeof CHOICES)[number]

const read = async (question: string): Promise<Choice> => {
  const line = createInterface({ input: process.stdin, output: process.stderr })
  try {
    for (;;) {
      const answer = (await line.question(question)).trim().toLowerCase()
      const choice = CHOICES.find((each) => answer !== '' && each.startsWith(answer))
      if (choice) return choice
    }
  } finally {
    line.close()
  }
}

/** Asks what to do about each job that waits because an attempt was lost, and does it. False when everything was left as it is. */
export const decideLost = async (source: Source, plan: string, jobs: readonly string[]): Promise<boolean> => {
  let decided = false
  for (const job of jobs) {
    const choice = await read(
      `${plan}/${job}: an attempt may have had effects and its end was not seen.  [r]etry, [s]kip, [c]ancel or [l]eave it? `,
    )
    if (choice === 'leave') continue
    await source.command(plan, job, { do: choice }, { by: 'terminal' })
    decided = true
  }
  return decided
}
