/**
 * How one attempt ended, as it stands in an explanation.
 */
import type { AttemptShape } from './shapes.ts'

const OUTCOMES: Readonly<Record<string, string>> = {
  timeout: 'took longer than its timeout',
  stall: 'was silent for longer than its stall time',
  deadline: 'ran past the deadline of the job',
  lost: 'may have had effects, and nobody saw its end',
  cancelled: 'was cancelled',
  'spawn-error': 'could not be started',
  'never-started': 'never started',
  'log-limit': 'wrote more than its log may hold',
  succeeded: 'succeeded',
}
/** How an attempt ended. */
export const ending = ({ n, outcome, code, signal, error }: AttemptShape): string => {
  const how =
    outcome === 'exit'
      ? `ended with exit code ${code ?? '?'}`
      : outcome === 'signal'
        ? `was ended by ${signal ?? 'a signal'}`
        : (OUTCOMES[outcome ?? ''] ?? 'runs')
  return `attempt ${n} ${how}${error === null ? '' : `: ${error}`}`
}
