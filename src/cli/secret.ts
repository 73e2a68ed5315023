/**
 * `tenuto secret`: which secrets a plan names and whether the home has their values, and giving it these again.
 */
import { namedVariables } from '../config.ts'
import { TenutoError } from '../errors.ts'
import { giveSecrets, homeFlag, homeOf, planSecrets } from './home.ts'
import { type Globals, screen } from './screen.ts'

type Named = Awaited<ReturnType<typeof planSecrets>>

/** Lists or gives the secrets of a plan; answers the exit code. */
export const secret = async (
  what: string,
  ref: string,
  names: readonly string[],
  flags: Globals,
): Promise<number> => {
  if (what !== 'ls' && what !== 'set')
    throw new TenutoError('USAGE', { what: `secret ${what}: it must be ls or set` })
  if (what === 'ls' && names.length > 0)
    throw new TenutoError('USAGE', { what: 'secret ls lists all secrets of a plan; name none' })
  const on = screen(flags)
  const home = homeOf(flags)
  const before = await planSecrets(home, ref)
  const { plan } = before
  const after = what === 'ls' ? before : await giveSecrets(home, plan, valuesOf(before, names))
  if (on.json) on.answer(JSON.stringify({ plan, secrets: after.secrets }))
  else if (after.secrets.length === 0) on.tell(`${plan} names no secrets`)
  else
    for (const { name, place, kept } of after.secrets) on.tell(`${name}  ${kept ? 'kept' : 'gone'}  ${place}`)
  if (after.secrets.length === 0) return 0
  if (what === 'set')
    on.talk(
      `attempts of ${plan} that start from now on get them; what failed: tenuto retry ${plan} --failed${homeFlag(flags)}`,
    )
  else if (after.secrets.some(({ kept }) => !kept))
    on.talk(`set the variables, then: tenuto secret set ${plan}${homeFlag(flags)}`)
  return 0
}

/** @throws {TenutoError} `USAGE` when the plan names no such secret; `SECRET_MISSING` when the environment has none of that name. */
const valuesOf = ({ plan, secrets }: Named, asked: readonly string[]): Readonly<Record<string, string>> => {
  const unknown = asked.find((name) => !secrets.some((each) => each.name === name))
  if (unknown !== undefined)
    throw new TenutoError('USAGE', {
      what: `${plan} names no secret ${unknown}; it names ${secrets.map(({ name }) => name).join(', ') || 'none'}`,
    })
  const wanted = secrets.filter(({ name }) => asked.length === 0 || asked.includes(name))
  const values = namedVariables(wanted.map(({ name }) => name))
  const missing = wanted.filter(({ name }) => (values[name] ?? '') === '')
  const [first] = missing
  if (first !== undefined)
    throw new TenutoError('SECRET_MISSING', {
      name: first.name,
      place: `${first.place} of ${plan}`,
      more:
        missing.length === 1
          ? ''
          : `; nor for ${missing
              .slice(1)
              .map(({ name }) => name)
              .join(', ')}`,
    })
  return values
}
