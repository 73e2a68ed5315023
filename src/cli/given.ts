/**
 * The secrets that a plan file names, as this environment has them. A plan that is there already under its key needs none of them: it
 * goes on with the values that it was given then.
 */
import { namedVariables } from '../config.ts'
import type { Definition } from '../definition.ts'
import { isTenutoError, type TenutoError } from '../errors.ts'
import { chooseSecrets, type SecretValues, secretPlaces } from '../secrets.ts'

/** The values; none, and why, where this environment does not have them all. */
export type Given = Readonly<{ secrets: SecretValues; lacking: TenutoError | undefined }>

/** The values of what a plan file names. */
export const givenSecrets = (definition: Definition, file: string): Given => {
  try {
    const given = namedVariables(secretPlaces(definition).keys())
    return { secrets: chooseSecrets(definition, given, file), lacking: undefined }
  } catch (error) {
    if (!isTenutoError(error, 'SECRET_MISSING') && !isTenutoError(error, 'SECRET_UNUSABLE')) throw error
    return { secrets: {}, lacking: error }
  }
}

/** What was submitted; what is refused for want of values is refused in the words of the file that names them. */
export const lackingTold = async <T>(submitted: Promise<T>, lacking: TenutoError | undefined): Promise<T> => {
  try {
    return await submitted
  } catch (error) {
    throw lacking && isTenutoError(error, 'SECRET_MISSING') ? lacking : error
  }
}
