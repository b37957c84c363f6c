"""CodeBuild, as far as builds of images need it: the phases of a buildspec, run on this machine."""
