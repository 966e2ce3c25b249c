# find, which starts a program for each file.
mkdir d
for i in $(seq 30); do : > "d/$i"; done
find d -type f -exec /bin/true {} \;
