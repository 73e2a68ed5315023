/**
 * Random plans that are right.
 */
import fc from 'fast-check'

const letter = fc.constantFrom(
  ...Array.from('abz019 \t\n:#,-?!&*|>%@`{}[]"\'\\/~=$.'),
  'é',
  '\u0085',
  '\u00a0',
  '\u2028',
  '\ufeff',
  '🎼',
  '\x01',
  '\r',
)
const wild = fc
  .string({ unit: letter, minLength: 1, maxLength: 12 })
  .filter((value) => value.trim() !== '' && !value.includes('${{'))
const text = fc.oneof(
  { weight: 20, arbitrary: fc.stringMatching(/^[a-z./][a-z0-9 ./_-]{0,10}[a-z]$/) },
  { weight: 1, arbitrary: wild },
)
const shellText = fc.oneof(
  text,
  fc.array(text, { minLength: 1, maxLength: 4 }).map((lines) => `${lines.join('\n')}\n`),
)
const duration = fc
  .tuple(fc.integer({ min: 1, max: 5000 }), fc.constantFrom('ms', 's', 'm', 'h'))
  .map(([number, unit]) => `${number}${unit}`)
const variable = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/).filter((name) => name !== '__proto__')
const env = fc.dictionary(variable, fc.oneof(text, fc.constantFrom('', '1', 'true', 'null', '~')), {
  noNullPrototype: true,
})
const cause = fc.oneof(
  fc.constantFrom('exit', 'signal', 'timeout', 'stall', 'spawn-error', 'log-limit'),
  fc.integer({ min: 1, max: 255 }).map((code) => `exit:${code}`),
)
const retry = fc.record(
  {
    max: fc.integer({ min: 0, max: 9 }),
    delay: duration,
    factor: fc.integer({ min: 1, max: 9 }),
    maxDelay: duration,
    jitter: fc.constantFrom(0, 0.25, 1),
    on: fc.uniqueArray(cause, { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: [], noNullPrototype: true },
)
const keys = {
  env,
  cwd: text,
  timeout: duration,
  deadline: duration,
  stall: duration,
  grace: duration,
  retry,
  onLost: fc.constantFrom('hold', 'retry', 'fail'),
  optional: fc.boolean(),
}
const kind = fc.oneof(
  shellText.map((run) => ({ run })),
  shellText.map((run) => ({ run, shell: 'bash' })),
  fc.array(text, { minLength: 1, maxLength: 3 }).map((exec) => ({ exec })),
)

/** The name of a job. */
export const jobName = fc
  .oneof(
    fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}$/),
    fc.constantFrom('true', 'null', 'constructor', 'toString', '1.0', '0x1'),
  )
  .filter((name) => name !== '__proto__')

/** A plan as a file or a program writes it: a job needs only jobs before it in the list of names. */
export const planSourceArbitrary = fc.uniqueArray(jobName, { minLength: 1, maxLength: 8 }).chain((names) =>
  fc.record(
    {
      plan: fc.constant('v1'),
      name: fc.stringMatching(/^[a-z0-9-]{1,20}$/),
      maxParallel: fc.integer({ min: 1, max: 64 }),
      onFailure: fc.constantFrom('continue', 'stop', 'pause'),
      env,
      defaults: fc.record(
        { ...keys, shell: fc.constantFrom('sh', 'bash') },
        { requiredKeys: [], noNullPrototype: true },
      ),
      jobs: fc
        .tuple(
          ...names.map((_, index) => {
            const before = names.slice(0, index)
            const list = before.length === 0 ? fc.constant([]) : fc.subarray(before)
            const needs = list.chain((chosen) =>
              fc.oneof(
                fc.constant(chosen),
                fc
                  .tuple(...chosen.map(() => fc.constantFrom('success', 'any', 'skipped-ok')))
                  .map((asks) => Object.fromEntries(chosen.map((need, at) => [need, asks[at]]))),
              ),
            )
            return fc
              .tuple(kind, fc.record({ needs, ...keys }, { requiredKeys: [], noNullPrototype: true }))
              .map(([what, rest]) => ({ ...rest, ...what }))
          }),
        )
        .map((jobs) => Object.fromEntries(jobs.map((job, index) => [names[index] ?? '', job]))),
    },
    { requiredKeys: ['plan', 'name', 'jobs'], noNullPrototype: true },
  ),
)
