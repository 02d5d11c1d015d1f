@rem Lets "exec" of the npm scripts pass on Windows, whose shell has no such word: it runs what follows.
@%*
