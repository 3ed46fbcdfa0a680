"""Tensors for the eye: what ``python -m tensord view`` and ``top`` draw.

    look = pictures.look(store["run/image"])          # the elements that a picture needs, read at once, and figures
    print("\\n".join(pictures.text.lines(look, 80)))  # letters alone
    pictures.png.write(look, "image.png")             # matplotlib

| module       | idea                                                                     |
|--------------|--------------------------------------------------------------------------|
| `numbers`    | the elements of every dtype as numbers that NumPy computes with          |
| `sample`     | at most so many elements of a tensor, of one version, without the others |
| `statistics` | count, least, mean, largest, what is not finite                          |
| `choose`     | which picture suits a shape and a dtype                                  |
| `looking`    | all of that for one tensor: a Look                                       |
| `pixels`     | arrays as colours, fitted into a space                                   |
| `text`       | a Look in letters                                                        |
| `terminal`   | a Look in colours of a terminal, by rich                                 |
| `png`        | a Look as a PNG file, by matplotlib                                      |

A Look is data, and everything after it a pure function of it.
"""

from tensord.pictures.looking import Look, look

__all__ = ["Look", "look"]
