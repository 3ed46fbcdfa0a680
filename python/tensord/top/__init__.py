"""What ``python -m tensord top`` shows: one reading of the store after another.

| module       | idea                                                                  |
|--------------|-----------------------------------------------------------------------|
| `known`      | what is known of the tensors, asked for as seldom as can be           |
| `reading`    | all that is shown, read from a store at one moment; rates between two |
| `source`     | readings of a store that may go and come back                         |
| `rows`       | a reading as rows: tensors, who holds, who waits; how they are sorted |
| `plain`      | a reading as lines of text: ``top --once``                            |
| `inspection` | one tensor: its figures, holders, waiters and picture                 |
| `overview`   | the first screen                                                      |
| `table`      | a widget that draws only the rows on the screen, of any number        |
| `app`        | the program, by Textual                                               |

The last four need Textual.
"""
